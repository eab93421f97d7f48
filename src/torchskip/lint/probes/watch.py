"""Look on at every call of torch in Python while a forward runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

__all__ = ["Watch", "Watcher"]


class Watcher:
    """Is shown each call before it runs, and with its result after."""

    def before(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a call that is about to run."""

    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Look at what a call gave."""


class Watch(TorchFunctionMode):
    """Inside, shows every call to the watchers.

    One mode for all of them: what one asks of a tensor would be a call to the mode of another.
    """

    def __init__(self, *watchers: Watcher) -> None:
        super().__init__()
        self._watchers = watchers

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        for watcher in self._watchers:
            watcher.before(name, args, kwargs)
        result = func(*args, **kwargs)
        for watcher in self._watchers:
            watcher.after(name, args, kwargs, result)
        return result
