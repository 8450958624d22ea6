"""What the description cannot tell Schemathesis: images, and which failures are none."""

import re

import schemathesis
from hypothesis import strategies as st

with open("docs/face.png", "rb") as file:
    FACE = st.just(file.read())
for media_type in ["image/png", "image/jpeg", "image/gif", "image/webp"]:
    schemathesis.openapi.media_type(media_type, FACE)
schemathesis.openapi.format("binary", FACE)

# The code of a failure, its operations, and what the message, the response or the request holds. ST201 is a response
# that should have been a refusal, ST202 a refusal that should have been a success, ST302 a user who should be there.
ACCEPTED = [
    # A cursor has a checksum, and an entity tag that is made up names no image.
    ("ST202", "GET /users", rb"Invalid 'cursor'"),
    ("ST202", "(PUT|DELETE) .*/avatar", rb"Precondition failed"),
    # Schemathesis sends the key of the example with several bodies. The API must refuse that.
    ("ST202", "POST .*", rb"Idempotency-Key was used with other content"),
    # A pattern cannot say which invisible characters a name may have, nor that white space around it does not count.
    ("ST202", "(POST|PATCH) .*", rb"Invalid 'name'"),
    ("ST201", "(POST|PATCH) .*", rb"in body - violates `maxLength` at [^\n]*/name/"),
    # Schemathesis sends JSON, YAML and XML as images, and forms without a part.
    ("ST202", "PUT .*/avatar", rb"Avatar is not an image"),
    ("ST202", "PUT .*/avatar", rb'(?s)Invalid form(?!.*; name="avatar")'),
    # Schemathesis puts control characters into the header of a part. RFC 9110 and RFC 5322 have no such header.
    ("ST202", "(POST|PUT) .*", rb"Content-Disposition: [^\r\n]*[\x00-\x1f\x7f]"),
    # Schemathesis expects every new user to have an avatar.
    ("ST302", "(GET|DELETE) .*/avatar", rb"Avatar not found"),
    # The API ignores parameters that are not described. Schemathesis does not know beside an integer.
    ("ST201", "GET /users", rb"in query - object with unexpected properties"),
]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    body = response.request.body or b""
    text = b"\n".join([failure.message.encode(), response.content, body if isinstance(body, bytes) else body.encode()])
    return not any(
        failure.code == code and re.fullmatch(operations, case.operation.label) and re.search(pattern, text)
        for code, operations, pattern in ACCEPTED
    )
