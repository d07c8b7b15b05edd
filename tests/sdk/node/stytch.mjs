// The official client library of Stytch for Node (14.2.0), as a back end uses it.

import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import stytch from 'stytch';

const task = JSON.parse(await text(process.stdin));
const settings = { project_id: task.project_id, secret: task.secret, env: `${task.url}/` };
const client = new stytch.Client(settings);
const EMAIL = 'node@example.com';
let password = 'eleven little ducks';

async function refused(status, type, call) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof stytch.StytchError, `${type}: ${error}`);
    assert.deepEqual([error.status_code, error.error_type], [status, type], error.message);
    for (const member of ['request_id', 'error_message', 'error_url']) assert.equal(typeof error[member], 'string');
    return true;
  });
}

async function lastMailTo(address) {
  for (let tries = 0; tries < 100; tries += 1) {
    const mails = await (await fetch(`${task.ops}/dev/mails`)).json();
    const mail = mails.find((candidate) => candidate.to === address);
    if (mail) return mail;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no mail to ${address}`);
}

const signIn = () => client.passwords.authenticate({ email: EMAIL, password, session_duration_minutes: 60 });

async function creates() {
  const created = await client.passwords.create({
    email: EMAIL,
    password,
    name: { first_name: 'No', last_name: 'De' },
    trusted_metadata: { plan: 'pro' },
    session_duration_minutes: 60,
    session_custom_claims: { seat: 7, gone: null },
  });
  assert.equal(created.status_code, 200);
  assert.match(created.request_id, /^request-id-live-/);
  assert.match(created.user_id, /^user-live-/);
  assert.equal(created.email_id, created.user.emails[0].email_id);
  assert.deepEqual(created.session.custom_claims, { seat: 7 });
  assert.deepEqual(created.user.trusted_metadata, { plan: 'pro' });
  await refused(400, 'duplicate_email', () => client.passwords.create({ email: EMAIL, password }));
  await refused(400, 'weak_password', () => client.passwords.create({ email: 'n2@example.com', password: 'short' }));
  return created.user_id;
}

async function signsIn() {
  const signedIn = await signIn();
  assert.deepEqual(signedIn.session.authentication_factors[0].type, 'password');
  assert.ok(signedIn.session_token && signedIn.session_jwt);
  const checked = await client.passwords.authenticate({ email: EMAIL, password });
  assert.deepEqual([checked.session, checked.session_token, checked.session_jwt], [null, '', '']);
  const wrong = () => client.passwords.authenticate({ email: EMAIL, password: 'not the password' });
  await refused(401, 'unauthorized_credentials', wrong);
  const unknown = () => client.passwords.authenticate({ email: 'nobody@example.com', password });
  await refused(401, 'unauthorized_credentials', unknown);
}

async function keepsSessions(userId) {
  const { session_token: token, session_jwt: jwt, session } = await signIn();
  const moved = await client.sessions.authenticate({
    session_token: token,
    session_duration_minutes: 120,
    session_custom_claims: { seat: 8 },
  });
  assert.equal(moved.session_token, token);
  assert.deepEqual(moved.session.custom_claims, { seat: 8 });
  assert.ok(Date.parse(moved.session.expires_at) - Date.parse(session.expires_at) > 50 * 60_000);
  assert.equal((await client.sessions.authenticate({ session_jwt: jwt })).session_token, token);
  await refused(400, 'no_session_arguments', () => client.sessions.authenticate({}));
  const both = () => client.sessions.authenticate({ session_token: token, session_jwt: jwt });
  await refused(400, 'too_many_session_arguments', both);
  const short = () => client.sessions.authenticate({ session_token: token, session_duration_minutes: 4 });
  await refused(400, 'invalid_session_duration_minutes', short);

  const local = await client.sessions.authenticateJwtLocal({ session_jwt: moved.session_jwt });
  assert.deepEqual([local.session_id, local.user_id], [session.session_id, userId]);
  assert.equal(local.custom_claims.seat, 8);
  assert.deepEqual(local.authentication_factors, moved.session.authentication_factors);
  assert.equal(Date.parse(local.expires_at), Date.parse(moved.session.expires_at));
  const forged = `${jwt.slice(0, -4)}AAAA`;
  await assert.rejects(() => client.sessions.authenticateJwtLocal({ session_jwt: forged }));
  const remote = await client.sessions.authenticateJwt({ session_jwt: jwt, max_token_age_seconds: 0 });
  assert.equal(remote.session.session_id, session.session_id);
  const { keys } = await client.sessions.getJWKS({ project_id: task.project_id });
  assert.ok(keys.length > 0);

  const { sessions } = await client.sessions.get({ user_id: userId });
  assert.ok(sessions.some((known) => known.session_id === session.session_id));
  assert.equal((await client.sessions.revoke({ session_id: session.session_id })).status_code, 200);
  await refused(404, 'session_not_found', () => client.sessions.authenticate({ session_token: token }));
  await refused(404, 'session_not_found', () => client.sessions.authenticateJwt({ session_jwt: jwt, max_token_age_seconds: 0 }));
}

async function changesPasswords() {
  const { session_token: token } = await signIn();
  const changed = await client.passwords.existingPassword.reset({
    email: EMAIL,
    existing_password: password,
    new_password: 'twelve little ducks',
    session_duration_minutes: 60,
  });
  password = 'twelve little ducks';
  assert.ok(changed.session_token);
  await refused(404, 'session_not_found', () => client.sessions.authenticate({ session_token: token }));
  await signIn();
}

async function resetsPasswordsByMail(userId) {
  const start = { email: EMAIL, reset_password_redirect_url: task.reset_url };
  const started = await client.passwords.email.resetStart(start);
  assert.equal(started.user_id, userId);
  await refused(404, 'email_not_found', () => client.passwords.email.resetStart({ ...start, email: 'nobody@example.com' }));
  const link = new URL((await lastMailTo(EMAIL)).link);
  assert.equal(link.searchParams.get('stytch_token_type'), 'reset_password');
  password = 'thirteen little ducks';
  const reset = { token: link.searchParams.get('token'), password, session_duration_minutes: 60 };
  const done = await client.passwords.email.reset(reset);
  assert.equal(done.user.emails[0].verified, true);
  await refused(401, 'unable_to_auth_password_reset_token', () => client.passwords.email.reset(reset));
  await signIn();
  return start;
}

async function isSlowedDown(start) {
  const tooOften = async () => {
    for (let mails = 0; mails < 30; mails += 1) await client.passwords.email.resetStart(start);
  };
  await refused(429, 'too_many_requests', tooOften);
}

async function managesUsers() {
  const created = await client.users.create({
    email: 'managed@example.com',
    name: { first_name: 'Man' },
    external_id: 'node|1',
    trusted_metadata: { plan: 'free', seats: 1 },
  });
  assert.deepEqual([created.status, created.phone_id], ['active', '']);
  const user_id = created.user_id;
  const read = await client.users.get({ user_id });
  assert.deepEqual([read.user_id, read.emails[0].email, read.user], [user_id, 'managed@example.com', undefined]);
  assert.equal((await client.users.get({ user_id: 'node|1' })).user_id, user_id);
  const operands = [{ filter_name: 'email_address', filter_value: ['managed@example.com'] }];
  const found = await client.users.search({ query: { operator: 'AND', operands } });
  assert.deepEqual([found.results.map((user) => user.user_id), found.results_metadata.total], [[user_id], 1]);
  const everybody = [];
  for await (const page of client.users.searchAll({ limit: 1 })) everybody.push(...page);
  assert.ok(everybody.length > 2 && everybody.some((user) => user.user_id === user_id));
  const updated = await client.users.update({ user_id, name: { last_name: 'Aged' }, trusted_metadata: { plan: null } });
  assert.deepEqual([updated.user.name.first_name, updated.user.name.last_name], ['Man', 'Aged']);
  assert.deepEqual(updated.user.trusted_metadata, { seats: 1 });
  assert.equal((await client.users.delete({ user_id })).user_id, user_id);
  await refused(404, 'user_not_found', () => client.users.get({ user_id }));
}

const userId = await creates();
await signsIn();
await keepsSessions(userId);
await changesPasswords();
const start = await resetsPasswordsByMail(userId);
await managesUsers();
await isSlowedDown(start);
const stranger = new stytch.Client({ ...settings, secret: 'not the secret' });
await refused(401, 'unauthorized_credentials', () => stranger.users.search({}));
console.log(JSON.stringify({ user_id: userId }));
process.exit(0);
