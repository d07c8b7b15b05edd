// Everything an application does with @workos-inc/node, of which nothing is changed but where it finds the service.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import {
  AuthenticationException,
  BadRequestException,
  GenericServerException,
  NotFoundException,
  OauthException,
  RateLimitExceededException,
  UnauthorizedException,
  UnprocessableEntityException,
  WorkOS,
} from '@workos-inc/node';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const task = JSON.parse(Buffer.concat(chunks).toString());
const { hostname, port } = new URL(task.url);

const connection = { clientId: task.client_id, apiHostname: hostname, port: Number(port), https: false };
const options = { ...connection, apiKey: task.api_key, issuer: task.issuer };
const workos = new WorkOS(options);
const once = new WorkOS({ ...options, maxRetries: 0 });
const users = workos.userManagement;
const cookiePassword = 'a cookie password of more than 32 characters';
const password = 'a nanosecond of wire';

const done = [];
const step = async (name, body) => {
  try {
    await body();
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
  done.push(name);
};

// What is thrown, and that it is of exactly that class.
const thrown = async (kind, promise) => {
  const error = await promise.then(
    (value) => assert.fail(`should have been refused: ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.equal(error.constructor, kind, `${error.constructor.name}: ${error.message}`);
  return error;
};

const codeFor = async (address) => {
  for (let tries = 0; tries < 200; tries += 1) {
    const mails = await (await fetch(task.mails)).json();
    const mail = mails.find(({ to, code }) => to === address && code);
    if (mail) return mail.code;
    await pause(50);
  }
  return assert.fail(`no mail to ${address}`);
};

const signIn = (email, session) => users.authenticateWithPassword({ email, password, session });

let ada;
await step('create', async () => {
  ada = await users.createUser({
    email: ' Node-Ada@example.com',
    password,
    firstName: 'Ada',
    emailVerified: true,
    externalId: 'node-ada',
    metadata: { plan: 'pro' },
  });
  assert.equal(ada.email, 'node-ada@example.com');
  assert.deepEqual([ada.firstName, ada.lastName, ada.emailVerified], ['Ada', null, true]);
  assert.match(ada.id, /^user_[0-9A-Z]{26}$/);
});

await step('create again', async () => {
  const error = await thrown(BadRequestException, users.createUser({ email: 'node-ada@example.com', password }));
  assert.deepEqual([error.code, error.errors[0].code], ['user_creation_error', 'email_not_available']);
});

await step('weak password', async () => {
  const error = await thrown(BadRequestException, users.createUser({ email: 'node-weak@example.com', password: 'short' }));
  assert.deepEqual([error.code, error.errors[0].code], ['password_strength_error', 'password_too_short']);
  assert.equal(error.errors[0].minimum_length, 8);
});

await step('no address', async () => {
  const error = await thrown(UnprocessableEntityException, users.createUser({ password }));
  assert.match(error.message, /email_string_required/);
});

let signedIn;
await step('sign in', async () => {
  signedIn = await users.authenticateWithPassword({
    email: 'NODE-ADA@example.com',
    password,
    ipAddress: '192.0.2.1',
    userAgent: 'a browser',
    session: { sealSession: true, cookiePassword },
  });
  assert.deepEqual([signedIn.user.id, signedIn.authenticationMethod], [ada.id, 'Password']);
  assert.ok(signedIn.user.lastSignInAt);
});

await step('wrong password and unknown user', async () => {
  const wrong = await thrown(GenericServerException, users.authenticateWithPassword({ email: ada.email, password: 'x' }));
  const unknown = await thrown(
    GenericServerException,
    users.authenticateWithPassword({ email: 'node-nobody@example.com', password: 'x' }),
  );
  assert.deepEqual([wrong.status, wrong.code], [400, 'invalid_credentials']);
  assert.equal(wrong.message, "Invalid credentials for 'node-ada@example.com'.");
  const said = (error, email) => [error.status, JSON.stringify(error.rawData).replace(email, '')];
  assert.deepEqual(said(wrong, ada.email), said(unknown, 'node-nobody@example.com'));
});

await step('local verification', async () => {
  const session = users.loadSealedSession({ sessionData: signedIn.sealedSession, cookiePassword });
  const answer = await session.authenticate();
  assert.equal(answer.authenticated, true, answer.reason);
  assert.equal(answer.user.id, ada.id);
  assert.match(answer.sessionId, /^session_[0-9A-Z]{26}$/);
  const elsewhere = new WorkOS({ ...options, issuer: 'https://elsewhere.example' });
  const refused = elsewhere.userManagement.loadSealedSession({ sessionData: signedIn.sealedSession, cookiePassword });
  assert.deepEqual(await refused.authenticate(), { authenticated: false, reason: 'invalid_jwt' });
});

let refreshed;
await step('refresh', async () => {
  const session = users.loadSealedSession({ sessionData: signedIn.sealedSession, cookiePassword });
  const answer = await session.refresh();
  assert.equal(answer.authenticated, true, answer.reason);
  assert.equal(answer.user.id, ada.id);
  assert.ok((await session.authenticate()).authenticated);
  refreshed = answer.sealedSession;
  const direct = await users.authenticateWithRefreshToken({ refreshToken: (await signIn(ada.email)).refreshToken });
  assert.equal(direct.user.id, ada.id);
  const error = await thrown(OauthException, users.authenticateWithRefreshToken({ refreshToken: 'made up' }));
  assert.deepEqual([error.status, error.error], [400, 'invalid_grant']);
});

await step('a lost reply', async () => {
  let lost = 0;
  const fetchFn = async (url, init) => {
    const answer = await fetch(url, init);
    if (lost === 0) {
      lost += 1;
      await answer.text();
      throw new TypeError('the connection was cut');
    }
    return answer;
  };
  const unlucky = new WorkOS({ ...options, fetchFn });
  const user = await unlucky.userManagement.createUser({ email: 'node-twice@example.com' });
  assert.equal(lost, 1);
  assert.equal((await users.listUsers({ email: 'node-twice@example.com' })).data[0].id, user.id);
});

await step('unverified', async () => {
  const email = 'node-grace@example.com';
  const grace = await users.createUser({ email, password });
  const error = await thrown(AuthenticationException, signIn(email));
  assert.deepEqual([error.status, error.code], [403, 'email_verification_required']);
  assert.equal(error.rawData.email, email);
  const code = await codeFor(email);
  const verification = await users.getEmailVerification(error.rawData.email_verification_id);
  assert.deepEqual([verification.userId, verification.code], [grace.id, code]);
  const attempt = (code) =>
    users.authenticateWithEmailVerification({ code, pendingAuthenticationToken: error.pendingAuthenticationToken });
  const wrong = await thrown(GenericServerException, attempt(code === '000000' ? '000001' : '000000'));
  assert.deepEqual([wrong.status, wrong.code], [400, 'invalid_one_time_code']);
  const answer = await attempt(code);
  assert.deepEqual([answer.user.id, answer.user.emailVerified], [grace.id, true]);
  assert.equal(answer.authenticationMethod, 'Password');
  const used = await thrown(GenericServerException, attempt(code));
  assert.equal(used.code, 'invalid_pending_authentication_token');
});

await step('verification mail and its limit', async () => {
  const email = 'node-edsger@example.com';
  const user = await users.createUser({ email });
  assert.equal((await users.sendVerificationEmail({ userId: user.id })).user.id, user.id);
  const error = await thrown(
    RateLimitExceededException,
    once.userManagement.sendVerificationEmail({ userId: user.id }),
  );
  assert.ok(Number.isInteger(error.retryAfter) && error.retryAfter > 0, `Retry-After: ${error.retryAfter}`);
  const answer = await users.verifyEmail({ userId: user.id, code: await codeFor(email) });
  assert.equal(answer.user.emailVerified, true);
});

await step('password reset', async () => {
  const email = 'node-alan@example.com';
  const user = await users.createUser({ email, password, emailVerified: true });
  const reset = await users.createPasswordReset({ email });
  assert.deepEqual([reset.userId, reset.email], [user.id, email]);
  assert.equal((await users.getPasswordReset(reset.id)).passwordResetToken, reset.passwordResetToken);
  const token = reset.passwordResetToken;
  const weak = await thrown(BadRequestException, users.resetPassword({ token, newPassword: 'short' }));
  assert.deepEqual([weak.code, weak.errors[0].code], ['password_reset_error', 'password_too_short']);
  const newPassword = 'enigma of bletchley';
  assert.equal((await users.resetPassword({ token, newPassword })).user.id, user.id);
  assert.equal((await users.authenticateWithPassword({ email, password: newPassword })).user.id, user.id);
  await thrown(GenericServerException, signIn(email));
  await thrown(NotFoundException, users.resetPassword({ token, newPassword }));
  await thrown(NotFoundException, users.createPasswordReset({ email: 'node-nobody@example.com' }));
});

await step('read, change, list, delete', async () => {
  assert.equal((await users.getUser(ada.id)).id, ada.id);
  assert.equal((await users.getUserByExternalId('node-ada')).id, ada.id);
  const changed = await users.updateUser({ userId: ada.id, lastName: 'Lovelace', metadata: { seats: '5' } });
  assert.deepEqual([changed.firstName, changed.lastName], ['Ada', 'Lovelace']);
  assert.deepEqual(changed.metadata, { plan: 'pro', seats: '5' });
  const cleared = await users.updateUser({ userId: ada.id, externalId: null, metadata: { plan: null } });
  assert.deepEqual([cleared.externalId, cleared.metadata], [null, { seats: '5' }]);
  const all = await (await users.listUsers()).autoPagination();
  assert.ok(all.length >= 6, `${all.length} users`);
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  const first = await users.listUsers({ limit: 2, order: 'asc' });
  const next = await users.listUsers({ limit: 2, order: 'asc', after: first.listMetadata.after });
  const back = await users.listUsers({ limit: 2, order: 'asc', before: next.data[0].id });
  assert.deepEqual(back.data.map(({ id }) => id), first.data.map(({ id }) => id));
  const gone = (await users.listUsers({ email: 'node-twice@example.com' })).data[0];
  await users.deleteUser(gone.id);
  const error = await thrown(NotFoundException, users.getUser(gone.id));
  assert.match(error.message, new RegExp(gone.id));
  await thrown(NotFoundException, users.getUser('no id at all'));
});

await step('sessions', async () => {
  const { data } = await users.listSessions(ada.id);
  const session = data.find(({ userAgent }) => userAgent === 'a browser');
  assert.deepEqual([session.ipAddress, session.authMethod, session.status], ['192.0.2.1', 'password', 'active']);
  const other = await signIn(ada.email);
  const otherId = JSON.parse(Buffer.from(other.accessToken.split('.')[1], 'base64url')).sid;
  await users.revokeSession({ sessionId: otherId });
  await thrown(OauthException, users.authenticateWithRefreshToken({ refreshToken: other.refreshToken }));
  const mine = users.loadSealedSession({ sessionData: refreshed, cookiePassword });
  const answer = await fetch(await mine.getLogoutUrl(), { redirect: 'manual' });
  assert.ok([200, 302].includes(answer.status), `logout: ${answer.status}`);
  const over = await mine.refresh();
  assert.deepEqual([over.authenticated, over.reason], [false, 'invalid_grant']);
});

await step('the key', async () => {
  const stranger = new WorkOS({ ...options, apiKey: 'sk_made_up' });
  await thrown(UnauthorizedException, stranger.userManagement.getUser(ada.id));
  const error = await thrown(OauthException, stranger.userManagement.authenticateWithPassword({ email: ada.email, password }));
  assert.deepEqual([error.status, error.error], [400, 'invalid_client']);
});

console.log(JSON.stringify({ done }));
