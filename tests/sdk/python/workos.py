"""Everything an application does with the Python package workos, of which nothing is changed but where it finds the service."""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request

# This file has the name of the package, and stands where Python looks first.
sys.path = [place for place in sys.path if os.path.abspath(place or ".") != os.path.dirname(os.path.abspath(__file__))]

from cryptography.fernet import Fernet  # noqa: E402
from workos import WorkOSClient  # noqa: E402
from workos._errors import (  # noqa: E402
    AuthenticationError,
    BadRequestError,
    EmailVerificationRequiredError,
    NotFoundError,
    RateLimitExceededError,
    UnprocessableEntityError,
)
from workos.session import seal_session_from_auth_response  # noqa: E402
from workos.user_management._resource import PasswordPlaintext  # noqa: E402

task = json.load(sys.stdin)
PASSWORD = "a nanosecond of wire"
COOKIE_PASSWORD = Fernet.generate_key().decode()
ONCE = {"max_retries": 0}


def client(**options):
    settings = {"api_key": task["api_key"], "client_id": task["client_id"], "base_url": task["url"], "jwt_issuer": task["issuer"]}
    return WorkOSClient(**{**settings, **options})


workos = client()
users = workos.user_management


def refused(kind, call):
    """What is raised, and that it is of exactly that class."""
    try:
        answer = call()
    except Exception as error:  # noqa: BLE001
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        return error
    raise AssertionError(f"should have been refused: {answer}")


def code_for(address):
    for _ in range(200):
        with urllib.request.urlopen(task["mails"]) as answer:
            found = [mail for mail in json.load(answer) if mail["to"] == address and mail.get("code")]
        if found:
            return found[0]["code"]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address}")


def created(address, **members):
    return users.create_user(email=address, password=PasswordPlaintext(password=PASSWORD), **members)


def signed_in(address, password=PASSWORD):
    return users.authenticate_with_password(email=address, password=password)


def sealed(answer):
    return seal_session_from_auth_response(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        user=answer.user.to_dict(),
        cookie_password=COOKIE_PASSWORD,
    )


def session_of(data, owner=workos):
    return owner.user_management.load_sealed_session(session_data=data, cookie_password=COOKIE_PASSWORD)


def create():
    ada = created(" Py-Ada@example.com", first_name="Ada", email_verified=True, external_id="py-ada", metadata={"plan": "pro"})
    assert (ada.email, ada.first_name, ada.last_name, ada.email_verified) == ("py-ada@example.com", "Ada", None, True)
    taken = refused(BadRequestError, lambda: created("py-ada@example.com"))
    assert (taken.code, taken.errors[0]["code"]) == ("user_creation_error", "email_not_available")
    weak = refused(
        BadRequestError,
        lambda: users.create_user(email="py-weak@example.com", password=PasswordPlaintext(password="short")),
    )
    assert (weak.code, weak.errors[0]["code"]) == ("password_strength_error", "password_too_short")
    invalid = refused(UnprocessableEntityError, lambda: created("no address"))
    assert invalid.code == "invalid_request_parameters"
    return ada


def sign_in(ada):
    answer = users.authenticate_with_password(
        email="PY-ADA@example.com", password=PASSWORD, ip_address="192.0.2.1", user_agent="a browser"
    )
    assert answer.user.id == ada.id and answer.refresh_token
    wrong = refused(BadRequestError, lambda: signed_in(ada.email, "x"))
    unknown = refused(BadRequestError, lambda: signed_in("py-nobody@example.com", "x"))
    assert wrong.code == "invalid_credentials", wrong.response_json
    said = [json.dumps(error.response_json).replace(name, "") for error, name in ((wrong, "ada"), (unknown, "nobody"))]
    assert said[0] == said[1], said
    return answer


def verify_locally(ada, answer):
    found = session_of(sealed(answer)).authenticate()
    assert found.authenticated, found.reason
    assert found.user["id"] == ada.id and found.session_id.startswith("session_")
    elsewhere = session_of(sealed(answer), client(jwt_issuer="https://elsewhere.example")).authenticate()
    assert not elsewhere.authenticated and elsewhere.reason.value == "invalid_jwt"
    [key] = [key for key in users.get_jwks(task["client_id"]).keys if key.kid == header(answer.access_token)["kid"]]
    assert key.x_5_c and key.x_5_t_s_256 and key.alg == "RS256"


def header(token):
    first = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))


def refresh(ada, answer):
    session = session_of(sealed(answer))
    found = session.refresh()
    assert found.authenticated, found.reason
    assert found.user["id"] == ada.id and session.authenticate().authenticated
    bad = refused(BadRequestError, lambda: users.authenticate_with_refresh_token(refresh_token="made up"))
    assert bad.error == "invalid_grant"
    return found.sealed_session


def repeat():
    options = {"idempotency_key": "py-once"}
    first, second = (users.create_user(email="py-twice@example.com", request_options=options) for _ in range(2))
    assert first.id == second.id


def unverified():
    address = "py-grace@example.com"
    grace = created(address)
    error = refused(EmailVerificationRequiredError, lambda: signed_in(address))
    assert error.email == address and error.pending_authentication_token
    code = code_for(address)
    verification = users.get_email_verification(error.email_verification_id)
    assert (verification.user_id, verification.code) == (grace.id, code)

    def attempt(code):
        return users.authenticate_with_email_verification(
            code=code, pending_authentication_token=error.pending_authentication_token
        )

    wrong = refused(BadRequestError, lambda: attempt("000001" if code == "000000" else "000000"))
    assert wrong.code == "invalid_one_time_code"
    answer = attempt(code)
    assert answer.user.id == grace.id and answer.user.email_verified
    assert session_of(sealed(answer)).authenticate().authenticated


def mails():
    user = users.create_user(email="py-edsger@example.com")
    assert users.send_verification_email(user.id).user.id == user.id
    error = refused(RateLimitExceededError, lambda: users.send_verification_email(user.id, request_options=ONCE))
    assert error.retry_after and error.retry_after == int(error.retry_after)
    assert users.verify_email(user.id, code=code_for("py-edsger@example.com")).user.email_verified


def reset_password():
    address = "py-alan@example.com"
    user = created(address, email_verified=True)
    reset = users.reset_password(email=address)
    assert (reset.user_id, reset.email) == (user.id, address)
    assert users.get_password_reset(reset.id).password_reset_token == reset.password_reset_token

    def confirm(password):
        return users.confirm_password_reset(token=reset.password_reset_token, new_password=password)

    weak = refused(BadRequestError, lambda: confirm("short"))
    assert (weak.code, weak.errors[0]["code"]) == ("password_reset_error", "password_too_short")
    assert confirm("enigma of bletchley").user.id == user.id
    assert signed_in(address, "enigma of bletchley").user.id == user.id
    refused(BadRequestError, lambda: signed_in(address))
    refused(NotFoundError, lambda: confirm("enigma of bletchley"))
    refused(NotFoundError, lambda: users.reset_password(email="py-nobody@example.com"))


def manage(ada):
    assert users.get_user(ada.id).id == users.get_user_by_external_id("py-ada").id == ada.id
    changed = users.update_user(ada.id, last_name="Lovelace", metadata={"seats": "5"})
    assert (changed.first_name, changed.last_name) == ("Ada", "Lovelace")
    assert changed.metadata == {"plan": "pro", "seats": "5"}
    cleared = users.update_user(ada.id, external_id=None, metadata=None)
    assert cleared.external_id is None and not cleared.metadata
    everybody = list(users.list_users(limit=2).auto_paging_iter())
    assert len({user.id for user in everybody}) == len(everybody) >= 6
    gone = users.list_users(email="py-twice@example.com").data[0]
    users.delete_user(gone.id)
    assert gone.id in refused(NotFoundError, lambda: users.get_user(gone.id)).message


def sessions(ada, cookie):
    found = [session for session in users.list_sessions(ada.id).data if session.user_agent == "a browser"]
    assert (found[0].ip_address, found[0].status) == ("192.0.2.1", "active")
    other = signed_in(ada.email)
    users.revoke_session(session_id=session_of(sealed(other)).authenticate().session_id)
    refused(BadRequestError, lambda: users.authenticate_with_refresh_token(refresh_token=other.refresh_token))
    mine = session_of(cookie)
    try:
        urllib.request.urlopen(mine.get_logout_url())
    except urllib.error.URLError:
        pass  # The page after signing out need not exist.
    over = mine.refresh()
    assert not over.authenticated, over


def key(ada):
    stranger = client(api_key="sk_made_up").user_management
    refused(AuthenticationError, lambda: stranger.get_user(ada.id))
    error = refused(BadRequestError, lambda: stranger.authenticate_with_password(email=ada.email, password=PASSWORD))
    assert error.error == "invalid_client"


ada = create()
answer = sign_in(ada)
verify_locally(ada, answer)
cookie = refresh(ada, answer)
repeat()
unverified()
mails()
reset_password()
manage(ada)
sessions(ada, cookie)
key(ada)
print(json.dumps({"done": True}))
