"""Text to tree. The only module that knows the promql-parser package."""

import re
import threading
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import promql_parser

from . import syntax
from .blame import explained
from .dialect import Dialect
from .functions import FUNCTIONS, RANGE_FUNCTIONS
from .lex import Masked, mask, place
from .model import NAME, Matcher, QueryError, value_filter
from .regex import RegexError

if TYPE_CHECKING:
    from collections.abc import Callable

_AGGREGATIONS: Final = frozenset(
    "sum avg min max count group stddev stdvar topk bottomk quantile count_values".split()  # noqa: SIM905  # one line
)
_OPERATORS: Final[dict[str, Literal["=", "!=", "=~", "!~"]]] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}

_UNEXPLAINED: Final = "invalid promql query"
# Up to here a thread's smallest usual stack (512 KiB on macOS) is enough by far.
_SHALLOW: Final = 40
_DEEP_STACK: Final = 64 * 2**20
_STACK_LOCK: Final = threading.Lock()

# Prometheus 3 renamed it, and the parser knows only the new name.
_VALUE = promql_parser.ValueType
promql_parser.register_extra_functions(
    [promql_parser.Function("holt_winters", [_VALUE.Matrix, _VALUE.Scalar, _VALUE.Scalar], _VALUE.Vector)]
)


@lru_cache(maxsize=512)
def parse(query: str, dialect: Dialect) -> syntax.Node:
    """The tree of a query, checked for everything that can be told without data.

    Raises:
        QueryError: The text is no PromQL, or uses what the dialect does not have.
    """
    masked = mask(query)
    return _parsed(masked, dialect) if masked.weight < _SHALLOW else _with_deep_stack(masked, dialect)


def _parsed(masked: Masked, dialect: Dialect) -> syntax.Node:
    try:
        tree = promql_parser.parse(masked.text)
    except ValueError as error:
        raise QueryError(_explained(str(error), masked)) from None
    try:
        return _Converter(masked, dialect).node(tree)
    except RegexError as error:
        raise QueryError(str(error)) from None
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None


def _with_deep_stack(masked: Masked, dialect: Dialect) -> syntax.Node:
    """Parse in a thread with a large stack: the parser recurses in native code, to make trees and to drop them."""
    found: list[syntax.Node | QueryError] = []

    def work() -> None:
        try:
            found.append(_parsed(masked, dialect))
        except QueryError as error:
            found.append(error)

    with (
        _STACK_LOCK
    ):  # the size is a setting of the process; a thread that starts meanwhile gets a larger stack, no harm
        usual = threading.stack_size(_DEEP_STACK)
        try:
            thread = threading.Thread(target=work)
            thread.start()
        finally:
            threading.stack_size(usual)
    thread.join()
    if isinstance(found[0], QueryError):
        raise found[0]
    return found[0]


def _explained(message: str, masked: Masked) -> str:
    """The parser's message with the strings put back, and with a place where the text gives one away."""
    for index, text in enumerate(masked.strings):
        message = message.replace(f'"{index}"', f'"{text}"')
    stray = re.search(r"unexpected character[\w ]*: '(.)'", message)
    if stray and stray.group(1) in masked.blanked:
        return f"{message} ({place(masked.blanked.index(stray.group(1)))})"
    quoted = re.search(r"(?:function|name|to) '(\w+)'|identifier '(\w+)'", message)
    if quoted:
        word = quoted.group(1) or quoted.group(2)
        found = re.search(rf"(?<![\w:]){re.escape(word)}(?![\w:])", masked.blanked)
        if found:
            return f"{message} ({place(found.start())})"
    if message == _UNEXPLAINED:
        return explained(masked, _has_grammar)
    return message


def _has_grammar(text: str) -> bool:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        message = str(error)
        return not (
            message == _UNEXPLAINED or message.startswith(("unexpected", "unclosed", "bad number", "expect duration"))
        )
    return True


def _millis(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration / timedelta(milliseconds=1))


class _Converter:
    def __init__(self, masked: Masked, dialect: Dialect) -> None:
        self.masked = masked
        self.dialect = dialect
        self.makers: dict[type, Callable[[Any], syntax.Node]] = {
            promql_parser.NumberLiteral: lambda tree: syntax.Number(tree.val),
            promql_parser.StringLiteral: lambda tree: syntax.Text(masked.restore(tree.val)),
            promql_parser.ParenExpr: lambda tree: self.node(tree.expr),
            promql_parser.UnaryExpr: lambda tree: syntax.Negate(self.node(tree.expr)),
            promql_parser.VectorSelector: self.selector,
            promql_parser.MatrixSelector: self.window,
            promql_parser.SubqueryExpr: self.subquery,
            promql_parser.Call: self.call,
            promql_parser.AggregateExpr: self.aggregate,
            promql_parser.BinaryExpr: self.binary,
        }

    def node(self, tree: Any) -> syntax.Node:
        return self.makers[type(tree)](tree)

    def names(self, labels: list[str] | None) -> tuple[str, ...]:
        return tuple(self.masked.restore(label) for label in labels or ())

    def shift(self, tree: Any) -> syntax.Shift:
        at: int | Literal["start", "end"] | None = None
        if tree.at is not None:
            kind = str(tree.at.type).rpartition(".")[2]
            # the number in the text is a place in the list of times that were taken out
            ends: dict[str, Literal["start", "end"]] = {"Start": "start", "End": "end"}
            at = ends.get(kind) or self.masked.instants[int(tree.at.at.timestamp())]
        return syntax.Shift(_millis(tree.offset), at)

    def selector(self, tree: Any) -> syntax.Selector:
        if tree.matchers.or_matchers:
            raise QueryError('"or" between label matchers is not PromQL of Prometheus 2.44')
        matchers = [
            Matcher(self.masked.restore(each.name), _OPERATORS[str(each.op)], self.masked.restore(each.value))
            for each in tree.matchers.matchers
        ]
        if tree.name is not None:
            named = [matcher for matcher in matchers if matcher.label == NAME]
            if named:
                raise QueryError(f"the metric name is set twice: {tree.name} and {named[0].value}")
            matchers.insert(0, Matcher(NAME, "=", self.masked.restore(tree.name)))
        # value_filter also compiles the regular expressions, so that a wrong one is told even where there is no data
        if all([value_filter(matcher)("") for matcher in matchers]):  # noqa: C419  # every one has to be compiled
            raise QueryError("a selector needs a metric name, or a matcher that does not match the empty value")
        if self.dialect.exact_metric_names:
            _require_one_name(matchers)
        return syntax.Selector(tuple(matchers), self.shift(tree))

    def window(self, tree: Any) -> syntax.Window:
        return syntax.Window(self.selector(tree.vector_selector), _millis(tree.range))

    def subquery(self, tree: Any) -> syntax.Subquery:
        length, step = _millis(tree.range), None if tree.step is None else _millis(tree.step)
        if length <= 0 or (step is not None and step <= 0):
            raise QueryError("the range and the step of a subquery must be greater than 0")
        return syntax.Subquery(self.node(tree.expr), length, step, self.shift(tree))

    def call(self, tree: Any) -> syntax.Call:
        name = tree.func.name
        if name not in FUNCTIONS and name not in RANGE_FUNCTIONS:
            found = re.search(rf"\b{name}\b", self.masked.blanked)
            where = f" ({place(found.start())})" if found else ""
            raise QueryError(
                f"the function {name}{where} is newer than Prometheus 2.44, which Cloud Monitoring follows"
            )
        return syntax.Call(name, tuple(self.node(arg) for arg in tree.args))

    def aggregate(self, tree: Any) -> syntax.Aggregate:
        op = str(tree.op)
        if op not in _AGGREGATIONS:
            raise QueryError(f"the aggregation {op} is newer than Prometheus 2.44, which Cloud Monitoring follows")
        labels = () if tree.modifier is None else self.names(tree.modifier.labels)
        without = tree.modifier is not None and str(tree.modifier.type).endswith("Without")
        param = None if tree.param is None else self.node(tree.param)
        return syntax.Aggregate(op, self.node(tree.expr), param, labels, without)

    def binary(self, tree: Any) -> syntax.Binary:
        modifier = tree.modifier
        matching = syntax.Matching()
        if modifier is not None:
            if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
                raise QueryError("fill() is newer than Prometheus 2.44, which Cloud Monitoring follows")
            card = str(modifier.card).rpartition(".")[2]
            many = {"ManyToOne": "left", "OneToMany": "right"}.get(card)
            on = modifier.matching is not None and str(modifier.matching.type).endswith("Include")
            labels = () if modifier.matching is None else self.names(modifier.matching.labels)
            matching = syntax.Matching(
                labels, on, cast('Literal["left", "right"] | None', many), self.names(modifier.group_labels)
            )
        as_bool = modifier is not None and modifier.return_bool
        return syntax.Binary(str(tree.op), self.node(tree.lhs), self.node(tree.rhs), matching, as_bool)


def _require_one_name(matchers: list[Matcher]) -> None:
    named = [matcher for matcher in matchers if matcher.label == NAME]
    if not named:
        raise QueryError("a selector without a metric name: Cloud Monitoring needs one, in an exact match")
    for matcher in named:
        if matcher.op != "=" or len(named) > 1:
            raise QueryError(
                f'only exact match is supported on the metric name, found {matcher.label}{matcher.op}"{matcher.value}"'
            )
