"""Arithmetic over knobs: `traffic * (1 - error_ratio)`, evaluated over whole columns."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..alerttest.errors import ScriptError
from ..monitoring.model import Floats

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_FUNCTIONS: Mapping[str, Callable[[Any, Any], Any]] = {"min": np.minimum, "max": np.maximum}


def evaluate(text: str | float, knobs: Mapping[str, Floats]) -> Floats:
    """The value at each step.

    Raises:
        ScriptError: It is no arithmetic, or names no knob.
    """
    size = len(next(iter(knobs.values())))
    try:
        tree = ast.parse(str(text), mode="eval")
    except SyntaxError as error:
        raise ScriptError(f"{text} is no arithmetic: {error.msg}") from error
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.broadcast_to(np.asarray(_value(tree.body, knobs), np.float64), (size,))
    except KeyError as error:
        raise ScriptError(f"{text}: there is no knob {error.args[0]} (there are {', '.join(sorted(knobs))})") from error
    except TypeError as error:
        raise ScriptError(f"{text}: only numbers, knobs, + - * / and min, max of two can be used") from error
    return found


def _value(node: ast.expr, knobs: Mapping[str, Floats]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return knobs[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, knobs)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, knobs), _value(right, knobs))
        case ast.Call(func=ast.Name(id=name), args=[one, other], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(one, knobs), _value(other, knobs))
    raise TypeError(ast.dump(node))
