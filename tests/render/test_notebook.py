from small_models import Residual
from torch import zeros

from torchskip import inspect
from torchskip.render import to_svg


def test_a_notebook_shows_the_picture_and_runs_nothing():
    inspection = inspect(Residual(), zeros(2, 3, 32, 32))
    shown = inspection._repr_html_()
    assert shown == to_svg(inspection)
    assert "<script" not in shown
    assert "body{" not in shown
