"""Lets the fuzzer of the HTTP API write and read CBOR."""

import cbor2
import schemathesis


@schemathesis.serializer("application/cbor")
def write(ctx, value):
    return cbor2.dumps(value)


@schemathesis.deserializer("application/cbor")
def read(ctx, response):
    return cbor2.loads(response.content)
