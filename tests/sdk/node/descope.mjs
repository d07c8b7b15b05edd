// The scenarios of Descope's node library. The task names one.

import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import descope from '@descope/node-sdk';

const task = JSON.parse(await text(process.stdin));
const { projectId, managementKey } = task;
const quiet = { log() {}, warn() {}, error() {}, debug() {} };
const client = (more = {}) => descope({ projectId, baseUrl: task.url, logger: quiet, ...more });

const PASSWORD = 'a long enough passphrase';
const NEW_PASSWORD = 'quite another passphrase';
const DSR = /^DSR=/;

// Fails with what the service said.
function ok(answer) {
  assert.ok(answer.ok, JSON.stringify(answer.error));
  assert.equal(answer.code, 200);
  return answer.data;
}

function refused(answer, status, errorCode) {
  assert.equal(answer.ok, false, 'it should have been refused');
  assert.equal(answer.code, status, JSON.stringify(answer.error));
  assert.equal(answer.error.errorCode, errorCode);
  assert.ok(answer.error.errorDescription && answer.error.errorMessage, JSON.stringify(answer.error));
  return answer.error;
}

let people = 0;
const someone = () => `person${(people += 1)}@example.com`;

async function signedUp(sdk, loginId = someone(), options = undefined) {
  return { loginId, ...ok(await sdk.password.signUp(loginId, PASSWORD, undefined, options)) };
}

// The code in the last mail to an address that is not the one that is known already.
async function mailedCode(address, known = undefined) {
  for (let tries = 0; tries < 600; tries += 1) {
    const mails = await (await fetch(task.mails)).json();
    const mail = mails.find(({ to }) => to === address);
    if (mail && mail.id !== known?.id) return mail;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no mail to ${address}`);
}

const scenarios = {
  async signIn() {
    const sdk = client();
    const loginId = someone();
    const user = { name: 'Ada Lovelace', givenName: 'Ada', familyName: 'Lovelace', phone: '+12025550123' };
    const created = ok(await sdk.password.signUp(loginId, PASSWORD, user));
    assert.equal(created.firstSeen, true);
    assert.match(created.user.userId, /^U[0-9A-Za-z]{27}$/);
    assert.deepEqual(created.user.loginIds, [loginId, '+12025550123']);
    assert.equal(created.user.name, 'Ada Lovelace');
    assert.equal(created.user.status, 'enabled');
    assert.equal(created.user.verifiedEmail, false, 'nobody has proved to own it');
    assert.match(created.cookies[0], DSR);
    refused(await sdk.password.signUp(loginId, PASSWORD), 400, 'E062107');
    refused(await sdk.password.signUp(someone(), 'short'), 400, 'E062910');

    const data = ok(await sdk.password.signIn(loginId, PASSWORD));
    assert.equal(data.firstSeen, false);
    assert.equal(data.user.userId, created.user.userId);
    assert.ok(data.sessionExpiration * 1000 > Date.now() && data.cookieExpiration > data.sessionExpiration);
    ok(await sdk.password.signIn('+1 (202) 555-0123', PASSWORD));

    const session = await sdk.validateSession(data.sessionJwt);
    assert.equal(session.token.sub, created.user.userId);
    assert.equal(session.token.iss, projectId);
    assert.equal(session.token.drn, 'DS');
    assert.deepEqual(session.token.amr, ['pwd']);
    assert.equal((await sdk.validateJwt(data.refreshJwt)).token.drn, 'DSR');
    const broken = data.sessionJwt.slice(0, -4) + (data.sessionJwt.endsWith('AAAA') ? 'BBBB' : 'AAAA');
    await assert.rejects(sdk.validateSession(broken), /session validation failed/);

    const wrong = refused(await sdk.password.signIn(loginId, 'not the passphrase'), 401, 'E062903');
    const unknown = refused(await sdk.password.signIn('nobody@example.com', PASSWORD), 401, 'E062903');
    assert.deepEqual(wrong, unknown, 'who has an account does not show');

    const policy = ok(await sdk.password.policy());
    assert.ok(policy.minLength >= 8 && policy.strengthScore === 0);
  },

  async sessions() {
    const sdk = client();
    const { loginId, sessionJwt, refreshJwt, user } = await signedUp(sdk);
    const refreshed = await sdk.refreshSession(refreshJwt);
    assert.equal(refreshed.token.sub, user.userId);
    const newest = refreshed.refreshJwt ?? refreshJwt;
    assert.equal((await sdk.validateAndRefreshSession(sessionJwt, newest)).jwt, sessionJwt, 'it is still good');
    assert.equal((await sdk.validateAndRefreshSession(undefined, newest)).token.drn, 'DS');

    assert.equal(ok(await sdk.me(newest)).userId, user.userId);
    const emptied = ok(await sdk.logout(newest));
    assert.equal(emptied.sessionJwt, '');
    refused(await sdk.me(newest), 401, 'E064001');
    refused(await sdk.refresh(newest), 401, 'E064001');
    refused(await sdk.me(sessionJwt), 401, 'E061005');

    const one = ok(await sdk.password.signIn(loginId, PASSWORD)).refreshJwt;
    const other = ok(await sdk.password.signIn(loginId, PASSWORD)).refreshJwt;
    ok(await sdk.logoutAll(one));
    refused(await sdk.refresh(one), 401, 'E064001');
    refused(await sdk.refresh(other), 401, 'E064001');
  },

  async loginOptions() {
    const sdk = client();
    const { loginId, refreshJwt } = await signedUp(sdk, undefined, { customClaims: { tier: 'first' } });
    assert.deepEqual((await sdk.refreshSession(refreshJwt)).token.nsec, { tier: 'first' });

    const customClaims = { plan: 'pro', seats: 5, beta: true };
    const options = { customClaims, revokeOtherSessions: true, revokeOtherSessionsTypes: ['web'], locale: 'en', templateId: 'x' };
    const data = ok(await sdk.password.signIn(loginId, PASSWORD, options));
    assert.deepEqual((await sdk.validateSession(data.sessionJwt)).token.nsec, customClaims);
    const refreshed = await sdk.refreshSession(data.refreshJwt);
    assert.deepEqual(refreshed.token.nsec, customClaims, 'they survive a refresh');
    refused(await sdk.refresh(refreshJwt), 401, 'E064001');

    refused(await sdk.password.signIn(loginId, PASSWORD, { stepup: true }), 401, 'E061005');
    refused(await sdk.password.signIn(loginId, PASSWORD, { mfa: true }), 401, 'E061005');
    refused(await sdk.password.signIn(loginId, PASSWORD, { tenantId: 'T1' }), 400, 'E011004');
  },

  async passwords() {
    const sdk = client();
    const { loginId, refreshJwt } = await signedUp(sdk);
    ok(await sdk.password.update(loginId, NEW_PASSWORD, refreshJwt));
    refused(await sdk.password.signIn(loginId, PASSWORD), 401, 'E062903');
    const other = ok(await sdk.password.signIn(loginId, NEW_PASSWORD)).refreshJwt;

    refused(await sdk.password.replace(loginId, PASSWORD, 'a third passphrase'), 401, 'E062903');
    refused(await sdk.password.replace('nobody@example.com', PASSWORD, 'a third passphrase'), 401, 'E062903');
    const replaced = ok(await sdk.password.replace(loginId, NEW_PASSWORD, 'a third passphrase'));
    await sdk.validateSession(replaced.sessionJwt);
    refused(await sdk.refresh(other), 401, 'E064001');
    await sdk.refreshSession(replaced.refreshJwt);

    const admin = client({ managementKey }).management;
    ok(await admin.user.setTemporaryPassword(loginId, 'a temporary passphrase'));
    refused(await sdk.password.signIn(loginId, 'a temporary passphrase'), 401, 'E062909');
    ok(await sdk.password.replace(loginId, 'a temporary passphrase', PASSWORD));
    ok(await sdk.password.signIn(loginId, PASSWORD));
    ok(await admin.user.setActivePassword(loginId, NEW_PASSWORD));
    ok(await sdk.password.signIn(loginId, NEW_PASSWORD));
  },

  async email() {
    const sdk = client();
    const { loginId, refreshJwt } = await signedUp(sdk);
    const sent = ok(await sdk.otp.update.email(loginId, loginId, refreshJwt));
    assert.ok(sent.maskedEmail.endsWith('@example.com') && sent.maskedEmail !== loginId);
    const limited = refused(await sdk.otp.update.email(loginId, loginId, refreshJwt), 429, 'E130429');
    assert.ok(Number.isInteger(limited.retryAfter) && limited.retryAfter > 0, JSON.stringify(limited));

    const { code } = await mailedCode(loginId);
    const wrongCode = code === '000000' ? '000001' : '000000';
    refused(await sdk.otp.verify.email(loginId, wrongCode), 401, 'E061102');
    const data = ok(await sdk.otp.verify.email(loginId, code));
    assert.equal(data.user.verifiedEmail, true);
    assert.deepEqual((await sdk.validateSession(data.sessionJwt)).token.amr, ['email']);
    refused(await sdk.otp.verify.email(loginId, code), 401, 'E061102');
    refused(await sdk.otp.update.email('other@example.com', loginId, refreshJwt), 401, 'E061005');
  },

  async management() {
    const sdk = client({ managementKey });
    const { user: users } = sdk.management;
    const loginId = someone();
    const details = {
      email: loginId,
      displayName: 'Grace Hopper',
      givenName: 'Grace',
      middleName: 'Brewster',
      familyName: 'Hopper',
      customAttributes: { team: 'compilers', level: 3 },
      verifiedEmail: true,
      picture: 'https://example.com/grace.png',
    };
    const created = ok(await users.create(loginId, details));
    assert.equal(created.status, 'invited', 'until the first sign-in');
    assert.equal(created.verifiedEmail, true);
    assert.deepEqual(created.customAttributes, details.customAttributes);
    refused(await users.create(loginId, details), 400, 'E062107');
    refused(await users.create(someone(), { roles: ['admin'] }), 400, 'E011004');

    assert.deepEqual(ok(await users.load(loginId)), created);
    assert.deepEqual(ok(await users.loadByUserId(created.userId)), created);
    assert.deepEqual(ok(await users.loadUsers([created.userId, 'nobody'])), [created]);
    refused(await users.load('nobody@example.com'), 404, 'E112102');

    const found = ok(await users.search({ loginIds: [loginId] }));
    assert.deepEqual(found, { users: [created], total: 1 });
    assert.deepEqual(ok(await users.search({ text: 'HOPPER', statuses: ['enabled', 'invited'] })).users.length > 0, true);
    assert.deepEqual(ok(await users.searchAll(undefined, undefined, 1)).length, 1);
    assert.deepEqual(ok(await users.search({ emails: ['nobody@example.com'] })), { users: [], total: 0 });

    ok(await users.setActivePassword(loginId, PASSWORD));
    const { refreshJwt, firstSeen } = ok(await sdk.password.signIn(loginId, PASSWORD));
    assert.equal(firstSeen, true);
    assert.equal(ok(await users.load(loginId)).status, 'enabled');
    ok(await users.logoutUser(loginId));
    refused(await sdk.refresh(refreshJwt), 401, 'E064001');

    assert.equal(ok(await users.deactivate(loginId)).status, 'disabled');
    refused(await sdk.password.signIn(loginId, PASSWORD), 401, 'E062903');
    assert.equal(ok(await users.activate(loginId)).status, 'enabled');
    ok(await users.deleteByUserId(created.userId));
    refused(await users.load(loginId), 404, 'E112102');
    refused(await users.delete(loginId), 404, 'E112102');

    refused(await client({ managementKey: 'signet_cs_of_somebody_else' }).management.user.load(loginId), 401, 'E111119');
    refused(await client().management.user.load(loginId), 401, 'E111119');
  },

  async authManagementKey() {
    const sdk = client({ authManagementKey: managementKey });
    const { loginId, refreshJwt } = await signedUp(sdk);
    const data = ok(await sdk.password.signIn(loginId, PASSWORD));
    assert.equal((await sdk.validateSession(data.sessionJwt)).token.iss, projectId);
    assert.equal(ok(await sdk.me(refreshJwt)).email, loginId);
    const refreshed = await sdk.refreshSession(data.refreshJwt);
    ok(await sdk.logout(refreshed.refreshJwt ?? data.refreshJwt));
    // Whoever has opened the session, an application without the key goes on with it.
    await client().refreshSession(refreshJwt);
  },
};

await scenarios[task.scenario]();
console.log('null');
