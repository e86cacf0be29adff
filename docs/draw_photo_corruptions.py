"""Draw every corruption of photos at every severity: ``python docs/draw_photo_corruptions.py``."""

from pathlib import Path

import foolbox
import numpy as np
import torch
from PIL import Image, ImageDraw

from gon_core.corruptions.photos import CORRUPTIONS, EXTRA, SEVERITIES, corrupt

SIDE, SHOWN, GAP, LABEL, HEAD = 224, 150, 4, 130, 24  # pixels
PHOTO = "imagenet_13_*"


def main() -> None:
    """Write ``docs/figures/photo_corruptions.jpg``."""
    (path,) = (Path(foolbox.__file__).parent / "data").glob(PHOTO)
    photo = Image.open(path).convert("RGB").resize((SIDE, SIDE))
    image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None]
    names = (*CORRUPTIONS, *EXTRA)
    step = SHOWN + GAP
    size = LABEL + step * len(SEVERITIES), HEAD + step * len(names)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, severity in enumerate(SEVERITIES):
        text = f"severity {severity}"
        pen.text((LABEL + column * step + 40, 4), text, fill="black", font_size=14)
    for row, name in enumerate(names):
        top = HEAD + row * step
        pen.text((4, top + SHOWN // 2), name.replace("_", " "), fill="black", font_size=14)
        for column, severity in enumerate(SEVERITIES):
            shown = corrupt(image, name, severity, seed=0)[0].permute(1, 2, 0).numpy()
            small = Image.fromarray(shown).resize((SHOWN, SHOWN))
            sheet.paste(small, (LABEL + column * step, top))
    sheet.save(Path(__file__).parent / "figures" / "photo_corruptions.jpg", quality=88)


if __name__ == "__main__":
    main()
