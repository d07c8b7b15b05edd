"""The scenarios of Descope's Python library."""

import json
import sys
import time
import urllib.request
import warnings

# This script has the name of the library, and its directory comes first.
sys.path.pop(0)

import jwt  # noqa: E402
from descope import (  # noqa: E402
    AuthException,
    DeliveryMethod,
    DescopeClient,
    RateLimitException,
)

warnings.filterwarnings("error", category=UserWarning)

TASK = json.load(sys.stdin)
PASSWORD = "a long enough passphrase"
NEW_PASSWORD = "quite another passphrase"


def client(**more):
    return DescopeClient(TASK["projectId"], base_url=TASK["url"], **more)


def refused(call, *arguments, status=401, code):
    try:
        call(*arguments)
    except RateLimitException:
        raise
    except AuthException as error:
        assert error.status_code == status, (error.status_code, error.error_message)
        body = json.loads(error.error_message)
        assert body["errorCode"] == code, body
        assert body["errorDescription"] and body["errorMessage"], body
        return body
    raise AssertionError(f"{call} should have been refused")


def mailed_code(address):
    for _ in range(600):
        with urllib.request.urlopen(TASK["mails"]) as answer:
            for mail in json.load(answer):
                if mail["to"] == address:
                    return mail["code"]
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address}")


def last(sdk, call, *arguments, **more):
    """The answer of the library, and the body that it came from: the library keeps the claims of the tokens only."""
    answer = call(*arguments, **more)
    return answer, sdk.get_last_response().json()


def signs_in(sdk):
    login_id = "in@example.com"
    user = {"name": "Ada", "givenName": "Ada", "email": login_id}
    created = sdk.password.sign_up(login_id, PASSWORD, user)
    assert created["firstSeen"] is True, created
    assert created["userId"] == created["user"]["userId"] == created["sessionToken"]["sub"], created
    assert created["projectId"] == TASK["projectId"], created
    assert created["user"]["name"] == "Ada" and created["user"]["loginIds"] == [login_id], created
    refused(sdk.password.sign_up, login_id, PASSWORD, status=400, code="E062107")

    answer, body = last(sdk, sdk.password.sign_in, login_id, PASSWORD)
    assert answer["firstSeen"] is False and answer["sessionToken"]["drn"] == "DS", answer
    assert answer["refreshSessionToken"]["drn"] == "DSR", answer
    assert sdk.validate_session(body["sessionJwt"])["userId"] == created["userId"]
    try:
        sdk.validate_session(body["sessionJwt"][:-6] + "AAAAAA")
    except jwt.InvalidSignatureError:
        pass
    else:
        raise AssertionError("a broken signature")

    wrong = refused(sdk.password.sign_in, login_id, "not the passphrase", code="E062903")
    unknown = refused(sdk.password.sign_in, "nobody@example.com", PASSWORD, code="E062903")
    assert wrong == unknown
    assert sdk.password.get_policy()["minLength"] >= 8


def refreshes_and_logs_out(sdk):
    login_id = "sessions@example.com"
    created, body = last(sdk, sdk.password.sign_up, login_id, PASSWORD)
    first = body["refreshJwt"]
    refreshed, body = last(sdk, sdk.refresh_session, first)
    assert refreshed["userId"] == created["userId"], refreshed
    newest = body["refreshJwt"] or first
    assert sdk.validate_and_refresh_session(body["sessionJwt"], newest)["userId"] == created["userId"]
    assert sdk.me(newest)["email"] == login_id
    sdk.logout(newest)
    refused(sdk.me, newest, code="E064001")
    refused(sdk.refresh_session, newest, code="E064001")

    _, one = last(sdk, sdk.password.sign_in, login_id, PASSWORD)
    _, other = last(sdk, sdk.password.sign_in, login_id, PASSWORD)
    sdk.logout_all(one["refreshJwt"])
    refused(sdk.refresh_session, other["refreshJwt"], code="E064001")


def changes_passwords(sdk, admin):
    login_id = "passwords@example.com"
    _, body = last(sdk, sdk.password.sign_up, login_id, PASSWORD)
    sdk.password.update(login_id, NEW_PASSWORD, body["refreshJwt"])
    refused(sdk.password.sign_in, login_id, PASSWORD, code="E062903")
    refused(sdk.password.replace, login_id, PASSWORD, "a third passphrase", code="E062903")
    refused(sdk.password.replace, "nobody@example.com", PASSWORD, "a third passphrase", code="E062903")
    replaced = sdk.password.replace(login_id, NEW_PASSWORD, "a third passphrase")
    assert replaced["user"]["email"] == login_id, replaced
    refused(sdk.password.replace, login_id, "a third passphrase", "short", status=400, code="E062910")

    admin.mgmt.user.set_temporary_password(login_id, "a temporary passphrase")
    refused(sdk.password.sign_in, login_id, "a temporary passphrase", code="E062909")
    sdk.password.replace(login_id, "a temporary passphrase", PASSWORD)
    assert sdk.password.sign_in(login_id, PASSWORD)["user"]["password"] is True
    admin.mgmt.user.set_active_password(login_id, NEW_PASSWORD)
    sdk.password.sign_in(login_id, NEW_PASSWORD)


def verifies_an_address(sdk):
    login_id = "otp@example.com"
    _, body = last(sdk, sdk.password.sign_up, login_id, PASSWORD)
    masked = sdk.otp.update_user_email(login_id, login_id, body["refreshJwt"])
    assert masked.endswith("@example.com") and masked != login_id, masked
    try:
        sdk.otp.update_user_email(login_id, login_id, body["refreshJwt"])
    except RateLimitException as error:
        assert error.status_code == "E130429", error.status_code
        assert error.rate_limit_parameters["Retry-After"] > 0, error.rate_limit_parameters
    else:
        raise AssertionError("two codes in a moment")

    code = mailed_code(login_id)
    wrong = "000001" if code == "000000" else "000000"
    refused(sdk.otp.verify_code, DeliveryMethod.EMAIL, login_id, wrong, code="E061102")
    verified = sdk.otp.verify_code(DeliveryMethod.EMAIL, login_id, code)
    assert verified["user"]["verifiedEmail"] is True, verified
    assert verified["sessionToken"]["amr"] == ["email"], verified


def manages_users(sdk, admin):
    users = admin.mgmt.user
    login_id = "managed@example.com"
    created = users.create(
        login_id,
        email=login_id,
        display_name="Grace Hopper",
        given_name="Grace",
        custom_attributes={"team": "compilers"},
        verified_email=True,
    )["user"]
    assert created["status"] == "invited" and created["name"] == "Grace Hopper", created
    refused(users.create, login_id, status=400, code="E062107")
    assert users.load(login_id)["user"] == created
    assert users.load_by_user_id(created["userId"])["user"] == created
    assert users.load_users([created["userId"]])["users"] == [created]
    found = users.search_all(login_ids=[login_id])
    assert found["users"] == [created] and found["total"] == 1, found
    assert users.search_all(test_users_only=True)["users"] == []
    refused(lambda: users.search_all(role_names=["admin"]), status=400, code="E011004")

    users.set_active_password(login_id, PASSWORD)
    signed_in, body = last(sdk, sdk.password.sign_in, login_id, PASSWORD)
    assert signed_in["firstSeen"] is True and signed_in["user"]["status"] == "enabled", signed_in
    users.logout_user(login_id)
    refused(sdk.refresh_session, body["refreshJwt"], code="E064001")
    assert users.deactivate(login_id)["user"]["status"] == "disabled"
    assert users.activate(login_id)["user"]["status"] == "enabled"
    users.delete(login_id)
    refused(users.load, login_id, status=404, code="E112102")
    refused(client(management_key="wrong").mgmt.user.load, login_id, code="E111119")


def main():
    sdk = client(verbose=True)
    admin = client(management_key=TASK["managementKey"])
    signs_in(sdk)
    refreshes_and_logs_out(sdk)
    changes_passwords(sdk, admin)
    verifies_an_address(sdk)
    manages_users(sdk, admin)
    # With a slash at the end every path begins with two.
    DescopeClient(TASK["projectId"], base_url=TASK["url"] + "/").password.sign_in("in@example.com", PASSWORD)
    # With a key, every call carries it.
    with_key = client(auth_management_key=TASK["managementKey"], verbose=True)
    with_key.password.sign_in("in@example.com", PASSWORD)
    # The keys have been fetched by now, so that the last answer is that of the sign-in.
    _, body = last(with_key, with_key.password.sign_in, "in@example.com", PASSWORD)
    with_key.refresh_session(body["refreshJwt"])
    print("null")


main()
