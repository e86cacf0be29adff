"""What a dry run expects of a GPU: about what it takes."""

import pytest
import torch

from gon_core.config import ANT, DataConfig, TrainingConfig
from gon_core.models import MadryCNN
from gon_core.training import new_state, train
from sweeps.engine.planning.trial_cost import SHARES, further_images, measure_speed
from sweeps.engine.resources.resources import Resources
from tests.gon_core.training.test_every_method import EVERY

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
CONFIG = TrainingConfig(max_epochs=3)
IMAGES = 6000


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.method)
def test_a_method_takes_about_what_is_expected(method, images):
    if isinstance(method, ANT):
        method = ANT(epsilon=5, pretraining_steps=20, reset_interval=1)
    data = images[0][:IMAGES].to("cuda")
    speed = measure_speed(MadryCNN(), DataConfig(), CONFIG, Resources(1, 1.0, 1))
    state = new_state(MadryCNN().to("cuda"), CONFIG, 0, method)
    seconds = min(metrics.seconds for metrics in train(state, data, method, CONFIG))
    further = further_images(method, CONFIG, IMAGES, SHARES["cuda"])
    assert 0.5 < seconds / (speed.train * (IMAGES + further)) < 2
