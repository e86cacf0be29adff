"""What a notebook shows while a sweep runs: one output, written anew in its place."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread

from rich.console import Console, RenderableType
from rich.jupyter import JUPYTER_HTML_FORMAT

SECONDS = 1.0  # between two looks


@contextmanager
def shown_in_place(render: Callable[[], RenderableType], width: int) -> Iterator[None]:
    """Show in a cell what is rendered, as it is now, until the block ends.

    The notebook's file keeps the last of it.

    Args:
        render: is called about once a second, by a thread of its own.
        width: in letters.
    """
    from IPython.display import display  # is there: this is a notebook

    shown = as_output(render(), width)
    handle, over = display(shown, raw=True, display_id=True), Event()
    assert handle is not None

    def update() -> None:
        nonlocal shown
        if (now := as_output(render(), width)) != shown:
            shown = now
            handle.update(now, raw=True)

    def look() -> None:
        while not over.wait(SECONDS):
            update()

    # The context says which cell the output is of.
    looking = Thread(target=copy_context().run, args=(look,), daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        update()


def as_output(shown: RenderableType, width: int) -> dict[str, str]:
    """Return what a cell shows, by MIME type."""
    console = Console(
        file=io.StringIO(), width=width, record=True, force_terminal=True, force_jupyter=False,
        color_system="standard",
    )  # fmt: skip
    console.print(shown)
    html = console.export_html(code_format=JUPYTER_HTML_FORMAT, inline_styles=True, clear=False)
    return {"text/html": html, "text/plain": console.export_text()}
