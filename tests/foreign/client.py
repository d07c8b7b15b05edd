"""Calls Signet as a stranger would: the schema by reflection, the tokens with a stock JWT library.

Gets one line of JSON on standard input: where the service is, a client's credentials, a verified and an unverified user.
Asks for a mailed code by printing {"code_for": address}, and reads the code as the next line. Ends with {"done": true}.
Any answer that is not as documented is an exception.
"""

import base64
import json
import sys

import grpc
import jwt
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Service:
    """Calls RPCs by name with plain dictionaries; knows only what the server tells of itself."""

    def __init__(self, address, metadata):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)
        self.metadata = metadata

    def call(self, method, body):
        stub, request = self.prepare(self.channel.unary_unary, method, body)
        return as_dictionary(stub(request, metadata=self.metadata, timeout=20))

    def stream(self, method, body):
        stub, request = self.prepare(self.channel.unary_stream, method, body)
        for answer in stub(request, metadata=self.metadata, timeout=20):
            yield as_dictionary(answer)

    def prepare(self, kind, method, body):
        service, name = method.split("/")
        rpc = self.pool.FindServiceByName(service).FindMethodByName(name)
        response_class = message_factory.GetMessageClass(rpc.output_type)
        stub = kind(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response_class.FromString,
        )
        return stub, json_format.ParseDict(body, message_factory.GetMessageClass(rpc.input_type)())

    def refused(self, method, body):
        """The code of the refusal, and its details by the name of their type."""
        try:
            answer = self.call(method, body)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata())
            status_class = message_factory.GetMessageClass(self.pool.FindMessageTypeByName("google.rpc.Status"))
            status = status_class.FromString(trailers["grpc-status-details-bin"])
            details = {}
            for any_message in status.details:
                name = any_message.type_url.rsplit("/", 1)[1]
                message = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))()
                message.ParseFromString(any_message.value)
                details[name] = as_dictionary(message)
            return error.code(), details
        raise AssertionError(f"{method} should have been refused: {answer}")


def as_dictionary(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def verify(service, project_id, token, audience):
    """Checks a token against the published keys, with no knowledge of how it was made."""
    keys = service.call("auth.v1.AuthService/GetJsonWebKeySet", {"project_id": project_id})
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key.key, algorithms=[key.algorithm_name], audience=audience, options={"require": ["exp", "iss"]})


def refresh(service, task, token):
    """A refresh, its repetition as after a lost reply, and the end of the session by way of the session service."""
    answer = service.call("auth.v1.AuthService/RefreshTokens", {"refresh_token": token})
    verify(service, task["project_id"], answer["tokens"]["access_token"], task["project_id"])
    again = service.call("auth.v1.AuthService/RefreshTokens", {"refresh_token": token})
    equal(again["tokens"]["refresh_token"], answer["tokens"]["refresh_token"])
    session_id, user_id = answer["session"]["session_id"], answer["user"]["user_id"]
    listed = service.call("auth.v1.SessionService/ListSessions", {"user_id": user_id})
    assert session_id in [session["session_id"] for session in listed["sessions"]], listed
    service.call("auth.v1.SessionService/RevokeSession", {"session_id": session_id})
    code, details = service.refused("auth.v1.AuthService/RefreshTokens", {"refresh_token": token})
    equal(details["google.rpc.ErrorInfo"]["reason"], "SESSION_NOT_ACTIVE")


def reset_password(service, user):
    """A new password by a mailed code; the one of before is none any more."""
    started = service.call("auth.v1.AuthService/StartPasswordReset", {"email": user["email"]})
    print(json.dumps({"code_for": user["email"]}), flush=True)
    reset = {
        "password_reset_token": started["password_reset_token"],
        "code": sys.stdin.readline().strip(),
        "new_password": "a bird, a window",
    }
    service.call("auth.v1.AuthService/CompletePasswordReset", reset)
    code, details = service.refused("auth.v1.AuthService/AuthenticatePassword", user)
    equal(details["google.rpc.ErrorInfo"]["reason"], "INVALID_CREDENTIALS")
    user["password"] = reset["new_password"]


def client_token(service, task):
    """A token of the client itself, which stands in for its secret."""
    answer = service.call("auth.v1.AuthService/IssueClientToken", {})
    claims = verify(service, task["project_id"], answer["access_token"], task["project_id"])
    equal((claims["sub"], answer["expires_in_seconds"]), (task["client_id"], 3600))
    bearer = Service(task["grpc"], [("authorization", f"Bearer {answer['access_token']}")])
    assert bearer.call("auth.v1.UserService/ListUsers", {})["users"]
    code, details = service.refused("auth.v1.AuthService/AuthenticateSession", {"access_token": answer["access_token"]})
    equal(details["google.rpc.ErrorInfo"]["reason"], "TOKEN_INVALID")


def watch_events(service, user_id):
    """What has happened to the user, by the stream and by the list; and that a cursor goes on."""
    for message in service.stream("auth.v1.EventService/WatchEvents", {}):
        event = message.get("event", {})
        if event.get("kind") == "password.failed" and event.get("user_id") == user_id:
            break
    equal(event["cause"], "wrong_password")
    listed = service.call("auth.v1.EventService/ListEvents", {"page_size": 100})
    assert event in listed["events"], listed
    rest = service.call("auth.v1.EventService/ListEvents", {"page_size": 100, "cursor": message["cursor"]})
    assert event not in rest.get("events", []), rest


def main():
    task = json.loads(sys.stdin.readline())
    basic = base64.b64encode(f"{task['client_id']}:{task['client_secret']}".encode()).decode()
    service = Service(task["grpc"], [("authorization", f"Basic {basic}")])
    equal(
        sorted(name for name in service.database.get_services() if name.startswith("auth.v1.")),
        [f"auth.v1.{name}Service" for name in ("Auth", "Event", "Project", "Session", "User")],
    )

    user = {"email": task["user"]["email"], "password": task["user"]["password"]}
    answer = service.call("auth.v1.AuthService/AuthenticatePassword", {**user, "token_options": {"include_id_token": True}})
    equal(answer["user"]["email"], user["email"])
    claims = verify(service, task["project_id"], answer["tokens"]["access_token"], task["project_id"])
    equal((claims["sub"], claims["sid"]), (answer["user"]["user_id"], answer["session"]["session_id"]))
    equal(verify(service, task["project_id"], answer["tokens"]["id_token"], task["client_id"])["amr"], ["pwd"])
    live = service.call("auth.v1.AuthService/AuthenticateSession", {"access_token": answer["tokens"]["access_token"]})
    equal(live["user"]["user_id"], answer["user"]["user_id"])

    code, details = service.refused("auth.v1.AuthService/AuthenticatePassword", {**user, "password": "wrong password"})
    equal((code, details["google.rpc.ErrorInfo"]["reason"]), (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS"))

    unverified = task["unverified_user"]
    code, details = service.refused("auth.v1.AuthService/AuthenticatePassword", unverified)
    equal(
        (code, details["google.rpc.ErrorInfo"]["reason"]),
        (grpc.StatusCode.FAILED_PRECONDITION, "EMAIL_VERIFICATION_REQUIRED"),
    )
    pending = details["auth.v1.PendingAuthentication"]
    equal(pending["missing_step"], "PENDING_STEP_EMAIL_VERIFICATION")
    print(json.dumps({"code_for": unverified["email"]}), flush=True)
    step = {
        "pending_authentication_token": pending["pending_authentication_token"],
        "code": sys.stdin.readline().strip(),
    }
    answer = service.call("auth.v1.AuthService/AuthenticateEmailVerification", step)
    equal((answer["user"]["email_verified"], answer["first_seen"]), (True, True))
    verify(service, task["project_id"], answer["tokens"]["access_token"], task["project_id"])

    refresh(service, task, answer["tokens"]["refresh_token"])
    reset_password(service, user)
    client_token(service, task)
    watch_events(service, live["user"]["user_id"])

    answer = service.call("auth.v1.AuthService/SignIn", {"login_id": user["email"], "password": user["password"]})
    verify(service, task["project_id"], answer["tokens"]["session_token"], task["project_id"])
    service.call("auth.v1.AuthService/SignOut", {"session_token": answer["tokens"]["session_token"]})
    code, details = service.refused(
        "auth.v1.AuthService/AuthenticateSession", {"session_token": answer["tokens"]["session_token"]}
    )
    equal(details["google.rpc.ErrorInfo"]["reason"], "SESSION_NOT_ACTIVE")
    print(json.dumps({"done": True}), flush=True)


main()
