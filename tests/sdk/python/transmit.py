"""A back end as its developers write one for Transmit Security: stock OAuth and JWT libraries, and the paths of the vendor's guides.

Reads a task on standard input: {part, url, client_id, client_secret, user, unverified_user}. Fails by an assertion, or prints a JSON value.
"""

import json
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import jwt
import requests
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

# The service listens on this machine only, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

task = json.load(sys.stdin)
base = task["url"] + "/cis"
client_id, client_secret = task["client_id"], task["client_secret"]
user = task["user"]

# --- The client's own token, by the library, with the credentials in the body as the guides have it.
oauth = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
granted = oauth.fetch_token(
    token_url=task["url"] + "/oidc/token",
    client_id=client_id,
    client_secret=client_secret,
    include_client_id=True,
)
assert set(granted) >= {"access_token", "token_type", "expires_in", "scope"}, granted
assert granted["token_type"] == "Bearer" and granted["expires_in"] == 3600, granted

# The same with HTTP Basic.
basic = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
assert basic.fetch_token(token_url=base + "/oidc/token", auth=(client_id, client_secret))["access_token"]


def call(method, path, token=granted["access_token"], expect=200, **arguments):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.request(method, base + path, headers=headers, timeout=30, **arguments)
    assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
    assert answer.headers["X-Request-ID"], "every answer is named"
    return answer.json() if answer.content else None


def post(path, body, **arguments):
    return call("POST", path, json=body, **arguments)


def sign_in(expect=200, **fields):
    return post("/v1/auth/password/authenticate", fields, expect=expect)


# --- Too much at once: told so, with a time to come back in whole seconds, and the rest goes through.
if task["part"] == "limit":

    def one_of_many(_):
        return requests.post(
            base + "/v1/auth/password/authenticate",
            headers={"Authorization": f"Bearer {granted['access_token']}"},
            json={"username": user["username"], "password": user["password"]},
            timeout=60,
        )

    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(one_of_many, range(16)))
    assert {answer.status_code for answer in answers} == {200, 429}, [answer.status_code for answer in answers]
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert int(limited.headers["Retry-After"]) >= 1 and limited.json()["message"] == "Too many requests", limited.text
    print(json.dumps({"limited": sum(answer.status_code == 429 for answer in answers)}))
    sys.exit(0)

# --- Wrong client credentials.
refused = requests.post(
    task["url"] + "/oidc/token",
    data={"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"},
    timeout=30,
)
assert refused.status_code == 401 and refused.json()["error"] == "invalid_client", refused.text
both = requests.post(
    task["url"] + "/oidc/token",
    data={"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret},
    auth=(client_id, client_secret),
    timeout=30,
)
assert both.status_code == 400 and both.json()["error"] == "invalid_request", both.text
unsupported = requests.post(task["url"] + "/oidc/token", data={"grant_type": "magic"}, timeout=30)
assert unsupported.json()["error"] == "unsupported_grant_type", unsupported.text

# --- Signing in: three kinds of names, all six members, the ID token verified by the library.
metadata = call("GET", "/oidc/.well-known/openid-configuration", token=None)
keys = jwt.PyJWKClient(base + "/oidc/jwks")


def verified(token, audience):
    key = keys.get_signing_key_from_jwt(token).key
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=metadata["issuer"])


tokens = sign_in(
    username=user["email"],
    username_type="email",
    password=user["password"],
    claims={"id_token": {"email": None, "fname": None, "nobody_knows_this": None}},
    client_attributes={"user_agent": "Firefox", "ip_address": "203.0.113.9"},
)
assert set(tokens) == {"access_token", "id_token", "refresh_token", "token_type", "expires_in", "session_id"}, tokens
identity = verified(tokens["id_token"], client_id)
assert identity["amr"] == ["pwd"] and identity["email"] == user["email"] and identity["fname"] == "Ada", identity
access = verified(tokens["access_token"], "userid-api")
assert access["client_id"] == client_id and access["sub"] == identity["sub"], access
assert jwt.get_unverified_header(tokens["access_token"])["typ"] == "at+jwt"
assert sign_in(username=user["username"], password=user["password"])["session_id"] != tokens["session_id"]
newer = sign_in(identifier=user["email"], identifier_type="email", password=user["password"])
assert newer["access_token"], newer

# --- Refusals: the same for an unknown user, a wrong password and another kind of name.
unknown = sign_in(username="nobody@example.com", username_type="email", password="whatever it is", expect=400)
wrong = sign_in(username=user["email"], username_type="email", password="whatever it is", expect=400)
other_kind = sign_in(username=user["email"], password=user["password"], expect=400)
assert unknown == wrong == other_kind == {"error_code": "auth_invalid_credentials", "message": "Invalid credentials"}, (
    unknown,
    wrong,
    other_kind,
)
for fields in [
    {"username": user["email"], "username_type": "shoe_size", "password": "x"},
    {"username": user["email"]},
    {"username": user["email"], "identifier": "x", "identifier_type": "email", "password": "x"},
    {"username": user["email"], "username_type": "email", "password": user["password"], "org_id": "org"},
    {"username": user["email"], "username_type": "email", "password": user["password"], "resource": "https://no.example"},
]:
    assert sign_in(expect=400, **fields)["error_code"] == "system_invalid_input", fields
for token in [None, "rubbish", tokens["access_token"]]:
    refused = call("POST", "/v1/auth/password/authenticate", token=token, json={}, expect=401)
    assert refused == {"message": "Invalid token", "error_code": 401}, refused

# --- A session: joined, resumed, listed, ended.
joined = sign_in(username=user["username"], password=user["password"], session_id=tokens["session_id"])
assert joined["session_id"] == tokens["session_id"], joined
lost = sign_in(username=user["username"], password=user["password"], session_id="no-such-session", expect=400)
assert lost["message"] == "Session not found", lost
resumed = post("/v1/auth/session/authenticate", {"session_id": tokens["session_id"]})
assert set(resumed) == set(tokens) and resumed["session_id"] == tokens["session_id"], resumed
assert verified(resumed["id_token"], client_id)["amr"] == ["pwd"]
listed = call("GET", f"/v1/auth/users/{identity['sub']}/sessions")
assert tokens["session_id"] in [session["session_id"] for session in listed], listed
assert set(listed[0]) == {"session_id", "start_time", "expiration_time"}, listed
assert set(call("GET", f"/v1/sessions/{identity['sub']}")[0]) == {
    "session_id", "start_time", "expiration_time", "user_id", "client_id",
}

# --- Refresh: rotates, answers without the session, also as a form.
refreshed = post("/v1/auth/token/refresh", {"refresh_token": newer["refresh_token"]})
assert set(refreshed) == set(tokens) - {"session_id"}, refreshed
assert refreshed["refresh_token"] != newer["refresh_token"]
form = requests.post(
    base + "/oidc/token",
    data={
        "grant_type": "refresh_token",
        "refresh_token": refreshed["refresh_token"],
        "client_id": client_id,
        "client_secret": client_secret,
    },
    timeout=30,
)
assert form.status_code == 200 and form.headers["Pragma"] == "no-cache" and form.json()["refresh_token"], form.text
bad = post("/v1/auth/token/refresh", {"refresh_token": "signet_rt_forged"}, expect=400)
assert bad["error_code"] == 400, bad
bad = requests.post(
    base + "/oidc/token",
    data={"grant_type": "refresh_token", "refresh_token": "x", "client_id": client_id, "client_secret": client_secret},
    timeout=30,
)
assert bad.status_code == 400 and bad.json()["error"] == "invalid_grant", bad.text

# --- User info, with the user's token and no other.
info = call("GET", "/oidc/me", token=tokens["access_token"])
assert info["sub"] == identity["sub"], info
assert call("POST", "/oidc/me", token=tokens["access_token"]) == info
for token in [None, granted["access_token"], tokens["id_token"], "rubbish"]:
    assert call("GET", "/oidc/me", token=token, expect=401)["error"] == "invalid_token"

assert post("/v1/auth/session/logout", {"session_id": tokens["session_id"]}, expect=204) is None
assert post("/v1/auth/session/logout", {"session_id": "no-such-session"}, expect=204) is None
gone = post("/v1/auth/session/authenticate", {"session_id": tokens["session_id"]}, expect=400)
assert gone["message"] == "Session not found", gone
assert call("GET", "/oidc/me", token=tokens["access_token"], expect=401)

# --- Users: created with a temporary password, which opens nothing until it is replaced.
name = f"eve-{uuid.uuid4().hex[:8]}"
created = post(
    "/v1/users",
    {
        "username": name,
        "email": f"{name}@example.com",
        "name": {"first_name": "Eve", "last_name": "Adams"},
        "external_user_id": name,
        "custom_data": {"plan": "free", "seats": 5},
        "credentials": {"password": "temporary, for now"},
    },
    expect=201,
)["result"]
assert created["status"] == "Pending" and created["email"] == {"value": f"{name}@example.com", "email_verified": False}
assert created["password_information"]["temporary"] is True, created
change = sign_in(username=name, password="temporary, for now", expect=403)
assert change["message"] == "temporary_password" and change["error_code"] == 403 and change["reset_token"], change
path = f"/v1/users/{created['user_id']}"
assert call("POST", path + "/password", json={"password": "quite another one"}, expect=409)
assert call("PUT", path + "/password", json={"password": "eve's real password", "force_replace": False}) == {
    "result": {"message": "Password registered"}
}
assert sign_in(username=name, password="eve's real password")["session_id"]
weak = call("PUT", path + "/password", json={"password": "short"}, expect=400)
assert weak["error_code"] == "auth_password_weak", weak
assert post("/v1/auth/password/validate", {"password": "short"})["result"]["valid_password"] is False
assert post("/v1/auth/password/validate", {"password": "a long enough one"})["result"] == {
    "valid_password": True,
    "errors": [],
}
for found in [
    path,
    f"/v1/users/email/{name}@example.com",
    f"/v1/users/username/{name}",
    f"/v1/users/external-user-id/{name}",
    f"/v1/users/identifier?identifier_name=email&identifier_value={name}@example.com",
]:
    result = call("GET", found)["result"]
    assert result["user_id"] == created["user_id"] and result["status"] == "Active", result
updated = call("PUT", path, json={"custom_data": {"plan": "paid"}, "language": "pl"})["result"]
assert updated["custom_data"] == {"plan": "paid", "seats": 5} and updated["language"] == "pl", updated
vouched = call("POST", path + f"/emails/{name}@example.com/verify", json={}, expect=202)["result"]
assert vouched["email"]["email_verified"] is True, vouched
taken = post("/v1/users", {"username": name}, expect=409)
assert taken["error_code"] == 409 and taken["ts_error_code"], taken
assert call("DELETE", f"/v1/auth/users/{created['user_id']}/sessions", expect=204) is None
assert call("DELETE", path + "/apps", expect=204) is None
assert call("GET", path, expect=404)["error_code"] == 404
assert call("GET", "/v1/users/usr_unknown", expect=404)
assert call("GET", "/v1/nowhere", expect=404)["error_code"] == 404

# --- A user who has not verified an address signs in like any other: the vendor has no such step.
unverified = task["unverified_user"]
assert sign_in(username=unverified["email"], username_type="email", password=unverified["password"])["id_token"]

print(json.dumps({"user_id": identity["sub"], "session_id": tokens["session_id"]}))
