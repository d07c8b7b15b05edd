// The official client library of Stytch for browsers (@stytch/vanilla-js 6.3.0), in a page of another origin than the service.

import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { servePage, startBrowser } from './browser.mjs';

const task = JSON.parse(await text(process.stdin));
const { email, password } = task.user;

const web = await servePage(`
  import { StytchAPIError, StytchHeadlessClient } from '@stytch/vanilla-js/headless';

  globalThis.start = (publicToken, api) => {
    const endpoints = { testAPIURL: api, liveAPIURL: api, dfpBackendURL: api, clientsideServicesIframeURL: api };
    globalThis.stytch = new StytchHeadlessClient(publicToken, { endpoints });
  };
  // What a call is refused with, as far as it can leave the page.
  globalThis.refused = (error) => ({
    isAPIError: error instanceof StytchAPIError, type: error.error_type, status: error.status_code, text: String(error),
  });
`);
const browser = await startBrowser(task.chromium);
const { page, context } = browser;

async function open() {
  await page.goto(`${web.url}/`);
  await page.evaluate(([publicToken, api]) => globalThis.start(publicToken, api), [task.public_token, task.url]);
}

async function cookieNames() {
  return (await context.cookies()).map((cookie) => cookie.name).filter((name) => name.startsWith('stytch_')).sort();
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

const authenticate = (credentials) =>
  page.evaluate(async (given) => {
    const { stytch, refused } = globalThis;
    return stytch.passwords.authenticate(given).then((done) => ({ done }), (error) => ({ error: refused(error) }));
  }, credentials);

try {
  await open();
  const wrong = await authenticate({ email, password: 'not the password', session_duration_minutes: 60 });
  assert.deepEqual([wrong.error?.isAPIError, wrong.error?.type, wrong.error?.status], [true, 'unauthorized_credentials', 401], JSON.stringify(wrong));
  const unknown = await authenticate({ email: 'nobody@example.com', password, session_duration_minutes: 60 });
  assert.equal(unknown.error?.type, 'unauthorized_credentials', JSON.stringify(unknown));
  assert.deepEqual(await cookieNames(), []);

  const { done, error } = await authenticate({ email, password, session_duration_minutes: 60 });
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(done.status_code, 200);
  assert.match(done.request_id, /^request-id-live-/);
  assert.match(done.user_id, /^user-live-/);
  assert.equal(done.user.user_id, done.user_id);
  assert.equal(done.user.emails[0].email, email);
  assert.match(done.session.session_id, /^session-live-/);
  assert.equal(done.session.authentication_factors[0].type, 'password');
  const minutes = (Date.parse(done.session.expires_at) - Date.now()) / 60_000;
  assert.ok(minutes > 55 && minutes <= 60, `the session ends in ${minutes} minutes`);
  assert.ok(done.session_token && done.session_jwt);
  assert.deepEqual(await cookieNames(), ['stytch_session', 'stytch_session_jwt']);
  const kept = Object.fromEntries((await context.cookies()).map((cookie) => [cookie.name, cookie.value]));
  assert.equal(kept.stytch_session, done.session_token);

  // After a reload the page asks with its cookie, and is still signed in.
  const renewed = page.waitForResponse((response) => response.url() === `${task.url}/sdk/v1/sessions/authenticate` && response.request().method() === 'POST');
  await open();
  assert.equal((await renewed).status(), 200);
  const session = await page.evaluate(() => globalThis.stytch.session.getSync());
  assert.equal(session.session_id, done.session.session_id);
  const moved = await page.evaluate(() => globalThis.stytch.session.authenticate({ session_duration_minutes: 120 }));
  assert.equal(moved.session_token, done.session_token);
  assert.ok(Date.parse(moved.session.expires_at) - Date.parse(done.session.expires_at) > 50 * 60_000);
  const me = await page.evaluate(() => globalThis.stytch.user.get());
  assert.equal(me.user_id, done.user_id);

  const revoked = await page.evaluate(() => globalThis.stytch.session.revoke());
  assert.equal(revoked.status_code, 200);
  assert.deepEqual(await cookieNames(), []);
  assert.equal(await page.evaluate(() => globalThis.stytch.session.getSync()), null);
  await open();
  assert.equal(await page.evaluate(() => globalThis.stytch.session.getSync()), null);

  // Who signs up is signed in; and a session that is over does not keep anybody out.
  await page.evaluate((token) => { document.cookie = `stytch_session=${token}`; }, done.session_token);
  await open();
  const created = await page.evaluate(() => globalThis.stytch.passwords.create({
    email: 'page@example.com', password: 'eleven little ducks', session_duration_minutes: 60,
  }));
  assert.equal(created.user.emails[0].email, 'page@example.com');

  // A forgotten password, by the link that was mailed.
  const mailed = await page.evaluate(
    (given) => globalThis.stytch.passwords.resetByEmailStart(given),
    { email: 'page@example.com', reset_password_redirect_url: task.reset_url },
  );
  assert.equal(mailed.status_code, 200);
  const link = new URL((await lastMailTo('page@example.com')).link);
  assert.equal(link.searchParams.get('stytch_token_type'), 'reset_password');
  const reset = await page.evaluate(
    (token) => globalThis.stytch.passwords.resetByEmail({ token, password: 'twelve little ducks', session_duration_minutes: 60 }),
    link.searchParams.get('token'),
  );
  assert.deepEqual([reset.user_id, reset.user.emails[0].verified], [created.user_id, true]);
  assert.deepEqual(await cookieNames(), ['stytch_session', 'stytch_session_jwt']);

  browser.assertOnlyAsked([web.url, task.url]);
  console.log(JSON.stringify({ session_id: done.session.session_id, answers: browser.answers.length }));
} finally {
  await browser.close();
  await web.close();
}
process.exit(0);
