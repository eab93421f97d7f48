"""Which call a forward stopped in, when no operation had begun: torch checks some sizes first."""

from __future__ import annotations

import torch
from torch import nn

from torchskip.trace.locate import Calls, failing_spot, user_code
from torchskip.trace.schema import plain
from torchskip.trace.tape import Draft, constant
from torchskip.trace.values import Values

__all__ = ["failing_call"]


def failing_call(error: BaseException, values: Values, calls: Calls) -> Draft | None:
    """Return the call of torch's own Python code that raised `error`, if it was given values.

    Its arguments are still in the frame that the traceback ends in.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or user_code(trace.tb_frame.f_code):
        return None
    frame = trace.tb_frame
    module = frame.f_globals.get("__name__", "")
    if not module.startswith("torch.nn.") or frame.f_code.co_name.startswith("_call"):
        return None
    code = frame.f_code
    given = {
        name: frame.f_locals.get(name)
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    }
    owner = given.pop("self", None)
    op = (
        f"module.{type(owner).__name__}"
        if isinstance(owner, nn.Module)
        else f"{module}.{code.co_name}"
    )
    failed = calls.failed
    call = failed[1] if failed and failed[0] is error else calls.root
    draft = Draft(op, [], call, failing_spot(error.__traceback__))
    plain_arguments = []
    for name, item in given.items():
        if not isinstance(item, torch.Tensor):
            plain_arguments.append((name, plain(item)))
            continue
        value = values.before(item)
        if value is None:
            draft.constants.append(constant(name, item, values.origin(item)))
        else:
            draft.inputs.append((name, value))
    draft.arguments = tuple(plain_arguments)
    return draft if draft.inputs else None
