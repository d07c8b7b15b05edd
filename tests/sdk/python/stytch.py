"""The official client library of Stytch for Python (15.3.0), as a back end uses it."""

import json
import sys
import time
import urllib.request
from urllib.parse import parse_qs, urlsplit

# This file is called like the package: the package comes first.
sys.path.pop(0)

import stytch
from stytch.core.response_base import StytchError

task = json.load(sys.stdin)
settings = {"project_id": task["project_id"], "environment": task["url"] + "/", "suppress_warnings": True}
client = stytch.Client(secret=task["secret"], **settings)
EMAIL = "python@example.com"
PASSWORDS = iter(["twelve little ducks", "thirteen little ducks"])
password = "eleven little ducks"


def refused(status, error_type, call):
    try:
        call()
    except StytchError as error:
        told = (error.details.status_code, error.details.error_type)
        assert told == (status, error_type), error
        assert error.details.request_id and error.details.error_message and error.details.error_url
    else:
        raise AssertionError(f"not refused with {error_type}")


def last_mail_to(address):
    for _ in range(100):
        with urllib.request.urlopen(task["ops"] + "/dev/mails") as answer:
            mails = json.load(answer)
        for mail in mails:
            if mail["to"] == address:
                return mail
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address}")


def sign_in():
    return client.passwords.authenticate(email=EMAIL, password=password, session_duration_minutes=60)


def creates():
    created = client.passwords.create(
        email=EMAIL,
        password=password,
        name={"first_name": "Py", "last_name": "Thon"},
        trusted_metadata={"plan": "pro"},
        session_duration_minutes=60,
        session_custom_claims={"seat": 7},
    )
    assert created.status_code == 200 and created.request_id.startswith("request-id-live-")
    assert created.email_id == created.user.emails[0].email_id
    assert created.session.custom_claims == {"seat": 7}
    assert created.user.trusted_metadata == {"plan": "pro"}
    refused(400, "duplicate_email", lambda: client.passwords.create(email=EMAIL, password=password))
    refused(400, "weak_password", lambda: client.passwords.create(email="p2@example.com", password="short"))
    return created.user_id


def signs_in():
    assert sign_in().session.authentication_factors[0].type.value == "password"
    checked = client.passwords.authenticate(email=EMAIL, password=password)
    assert (checked.session, checked.session_token, checked.session_jwt) == (None, "", "")
    for email in [EMAIL, "nobody@example.com"]:
        wrong = lambda: client.passwords.authenticate(email=email, password="not the password")
        refused(401, "unauthorized_credentials", wrong)


def keeps_sessions(user_id):
    signed_in = sign_in()
    token, jwt, session = signed_in.session_token, signed_in.session_jwt, signed_in.session
    moved = client.sessions.authenticate(
        session_token=token, session_duration_minutes=120, session_custom_claims={"seat": 8}
    )
    assert moved.session_token == token and moved.session.custom_claims == {"seat": 8}
    assert (moved.session.expires_at - session.expires_at).total_seconds() > 50 * 60
    assert client.sessions.authenticate(session_jwt=jwt).session_token == token
    refused(400, "no_session_arguments", client.sessions.authenticate)
    both = lambda: client.sessions.authenticate(session_token=token, session_jwt=jwt)
    refused(400, "too_many_session_arguments", both)
    short = lambda: client.sessions.authenticate(session_token=token, session_duration_minutes=4)
    refused(400, "invalid_session_duration_minutes", short)

    local = client.sessions.authenticate_jwt_local(moved.session_jwt)
    assert local is not None, "the library verifies the JWT by itself"
    assert (local.session_id, local.user_id) == (session.session_id, user_id)
    assert local.custom_claims["seat"] == 8 and local.roles == ["stytch_user"]
    assert local.authentication_factors == moved.session.authentication_factors
    assert local.expires_at == moved.session.expires_at
    assert client.sessions.authenticate_jwt_local(jwt[:-4] + "AAAA") is None
    remote = client.sessions.authenticate_jwt(jwt, max_token_age_seconds=0)
    assert remote.session.session_id == session.session_id
    assert client.sessions.get_jwks(project_id=task["project_id"]).keys

    sessions = client.sessions.get(user_id=user_id).sessions
    assert session.session_id in [known.session_id for known in sessions]
    assert client.sessions.revoke(session_id=session.session_id).status_code == 200
    refused(404, "session_not_found", lambda: client.sessions.authenticate(session_token=token))
    refused(404, "session_not_found", lambda: client.sessions.authenticate_jwt(jwt, max_token_age_seconds=0))


def changes_passwords():
    global password
    old = sign_in().session_token
    new = next(PASSWORDS)
    client.passwords.existing_password.reset(email=EMAIL, existing_password=password, new_password=new)
    password = new
    refused(404, "session_not_found", lambda: client.sessions.authenticate(session_token=old))
    sign_in()


def resets_passwords_by_mail(user_id):
    global password
    start = {"email": EMAIL, "reset_password_redirect_url": task["reset_url"]}
    assert client.passwords.email.reset_start(**start).user_id == user_id
    nobody = {**start, "email": "nobody@example.com"}
    refused(404, "email_not_found", lambda: client.passwords.email.reset_start(**nobody))
    query = parse_qs(urlsplit(last_mail_to(EMAIL)["link"]).query)
    assert query["stytch_token_type"] == ["reset_password"]
    password = next(PASSWORDS)
    reset = {"token": query["token"][0], "password": password, "session_duration_minutes": 60}
    assert client.passwords.email.reset(**reset).user.emails[0].verified
    refused(401, "unable_to_auth_password_reset_token", lambda: client.passwords.email.reset(**reset))
    sign_in()
    return start


def is_slowed_down(start):
    def too_often():
        for _ in range(30):
            client.passwords.email.reset_start(**start)

    refused(429, "too_many_requests", too_often)


def manages_users():
    created = client.users.create(
        email="managed-py@example.com",
        name={"first_name": "Man"},
        external_id="python|1",
        trusted_metadata={"plan": "free", "seats": 1},
    )
    assert (created.status, created.phone_id) == ("active", "")
    user_id = created.user_id
    assert client.users.get(user_id).emails[0].email == "managed-py@example.com"
    assert client.users.get("python|1").user_id == user_id
    operands = [{"filter_name": "email_address", "filter_value": ["managed-py@example.com"]}]
    found = client.users.search(query={"operator": "AND", "operands": operands})
    assert [user.user_id for user in found.results] == [user_id] and found.results_metadata.total == 1
    updated = client.users.update(user_id, name={"last_name": "Aged"}, trusted_metadata={"plan": None})
    assert (updated.user.name.first_name, updated.user.name.last_name) == ("Man", "Aged")
    assert updated.user.trusted_metadata == {"seats": 1}
    assert client.users.delete(user_id).user_id == user_id
    refused(404, "user_not_found", lambda: client.users.get(user_id))


user_id = creates()
signs_in()
keeps_sessions(user_id)
changes_passwords()
start = resets_passwords_by_mail(user_id)
manages_users()
is_slowed_down(start)
stranger = stytch.Client(secret="not the secret", **settings)
refused(401, "unauthorized_credentials", lambda: stranger.users.search())
print(json.dumps({"user_id": user_id}))
