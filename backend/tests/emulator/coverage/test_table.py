"""The page of coverage tells what the wires do (docs/reference/COVERAGE.md is compared in tests/docs)."""

from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import empty_pb2

from app.emulator.coverage.table import page, rows
from app.emulator.parts import Parts
from app.emulator.project import Context
from app.emulator.transport.methods import Method
from support.emulator import running_emulator


def test_every_method_has_a_row() -> None:
    text = page()
    for row in rows(Parts(Context()).services):
        assert f"| {row.method.name}" in text
    assert "| CreateTimeSeries | answered | answered | `POST /v3/{name=projects/*}/timeSeries` |" in text


def test_a_method_without_a_service_object_is_unimplemented() -> None:
    for row in rows({}):
        assert not row.answered
        assert "answered" not in {row.grpc, row.rest}


def test_what_the_page_calls_unimplemented_answers_so_over_grpc() -> None:
    with running_emulator() as emulator, grpc.insecure_channel(emulator.grpc) as channel:
        missing = [
            row.method
            for row in rows(emulator.emulator.parts.services)
            if row.grpc == "UNIMPLEMENTED" and isinstance(row.method, Method) and not row.method.client_streams
        ]
        for method in missing:
            call: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
                method.path, request_serializer=lambda one: one.SerializeToString()
            )
            with pytest.raises(grpc.RpcError) as raised:
                call(empty_pb2.Empty(), timeout=30)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert method.name in (raised.value.details() or "")
        unknown = httpx.get(f"{emulator.http}/v9/nothing", timeout=30)
        assert unknown.status_code == 404
