"""A mail server for tests, by aiosmtpd: a foreign implementation that says what it received.

Writes one JSON object per line to standard output: first {"port": ...}, then one {"event": ...} per event. Stops when
standard input is closed, so that it never outlives the test that started it, however that ends.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, TLSSetupException


# It warns of what is done to it here on purpose: passwords without TLS, clients that do not trust its certificate.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.ERROR)
logging.getLogger("mail.log").addFilter(lambda record: not record.exc_info or record.exc_info[0] is not TLSSetupException)


def say(**event):
    print(json.dumps(event), flush=True)


class Handler:
    def __init__(self, options):
        self.options = options
        self.put_off = options.put_off

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        say(event="hello", name=hostname, tls=is_encrypted(server, session))
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.put_off > 0:
            self.put_off -= 1
            say(event="put_off", to=address)
            return "451 4.7.1 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        # Lines end in CRLF on the wire.
        text, html = (message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))
        if self.options.refuse:
            say(event="refused", to=envelope.rcpt_tos)
            # As rude as it gets: quotes the mail and its recipient.
            return f"550 5.7.1 no mail for {envelope.rcpt_tos[0]} that says {' '.join(text.split())[:300]}"
        if self.options.slow:
            say(event="slow")
            await asyncio.sleep(self.options.slow)
        say(
            event="accepted",
            tls=is_encrypted(server, session),
            user=session.auth_data,
            mail_from=envelope.mail_from,
            rcpt_to=envelope.rcpt_tos,
            headers=[[name.lower(), str(value)] for name, value in message.items()],
            content_type=message.get_content_type(),
            parts=[part.get_content_type() for part in message.iter_parts()],
            defects=[str(defect) for part in message.walk() for defect in part.defects],
            text=text,
            html=html,
        )
        return "250 2.0.0 accepted"


def is_encrypted(server, session):
    return session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (user, password)
        say(event="sign_in", mechanism=mechanism, good=good)
        return AuthResult(success=good, handled=good, auth_data=user if good else None)

    return check


def tls_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    return context


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--security", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--mechanism", choices=["LOGIN", "PLAIN"])
    parser.add_argument("--put-off", type=int, default=0, help="answer the first so many recipients with 451")
    parser.add_argument("--refuse", action="store_true", help="answer every mail with 550")
    parser.add_argument("--ascii-only", action="store_true", help="do not offer SMTPUTF8")
    parser.add_argument("--slow", type=float, default=0, help="seconds before a mail is accepted")
    options = parser.parse_args()

    settings = {"hostname": "peer.test", "enable_SMTPUTF8": not options.ascii_only}
    if options.security == "starttls":
        settings |= {"tls_context": tls_context(options), "require_starttls": True}
    if options.user:
        settings |= {
            "authenticator": authenticator(options.user, options.password),
            "auth_required": True,
            # aiosmtpd does not count implicit TLS as TLS here.
            "auth_require_tls": options.security == "starttls",
            "auth_exclude_mechanism": {"LOGIN", "PLAIN"} - {options.mechanism} if options.mechanism else None,
        }
    handler = Handler(options)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **settings),
        host="127.0.0.1",
        port=options.port,
        ssl=tls_context(options) if options.security == "implicit" else None,
    )
    say(port=server.sockets[0].getsockname()[1])
    await asyncio.to_thread(sys.stdin.read)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
