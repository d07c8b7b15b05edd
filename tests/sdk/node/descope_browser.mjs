// Descope's web library in a browser, with its tokens in the page and in cookies.

import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { servePage, startBrowser } from './browser.mjs';

const task = JSON.parse(await text(process.stdin));
const PASSWORD = 'a long enough passphrase';

const site = await servePage(`
  import descope from '@descope/web-js-sdk';
  globalThis.client = (options) => {
    globalThis.sdk = descope(options);
    return true;
  };
  // What can leave the page of an answer.
  globalThis.called = async (name, ...given) => {
    const method = name.split('.').reduce((holder, part) => holder[part], globalThis.sdk);
    const { ok, code, data, error } = await method(...given);
    return { ok, code, data, error };
  };
`);
const browser = await startBrowser(task.chromium);
const { context, page } = browser;

const called = (name, ...given) => page.evaluate(([name, given]) => globalThis.called(name, ...given), [name, given]);

async function ok(name, ...given) {
  const answer = await called(name, ...given);
  assert.ok(answer.ok, `${name}: ${JSON.stringify(answer)}`);
  return answer.data;
}

async function open(options) {
  await page.goto(site.url);
  await page.waitForFunction(() => globalThis.client !== undefined);
  await page.evaluate((options) => globalThis.client(options), { baseUrl: task.url, autoRefresh: false, ...options });
}

async function tokensInThePage() {
  const options = { projectId: task.projectId, persistTokens: true };
  await open(options);
  const created = await ok('password.signUp', 'page@example.com', PASSWORD, { name: 'Ada' });
  const stored = await page.evaluate(() => [globalThis.sdk.getSessionToken(), globalThis.sdk.getRefreshToken()]);
  assert.deepEqual(stored, [created.sessionJwt, created.refreshJwt]);
  assert.ok(created.sessionExpiration > 0 && created.cookieExpiration > 0);

  await open(options);
  assert.equal((await ok('me')).userId, created.user.userId, 'another load of the page knows who it is');
  const refreshed = await ok('refresh');
  assert.equal(refreshed.user.userId, created.user.userId);
  await ok('logout');

  // A token that is over comes with the sign-in all the same.
  await page.evaluate((token) => localStorage.setItem('DSR', token), created.refreshJwt);
  const again = await ok('password.signIn', 'page@example.com', PASSWORD);
  assert.equal(again.firstSeen, false);
  const device = await page.evaluate(() => localStorage.getItem('DKD'));
  assert.ok(device && device === again.knownDeviceJwt, 'the page keeps what its device is known by');
  const wrong = await called('password.signIn', 'page@example.com', 'not the passphrase');
  assert.deepEqual([wrong.ok, wrong.code, wrong.error.errorCode], [false, 401, 'E062903']);
  assert.deepEqual(await context.cookies(task.url), [], 'no cookie was asked for');
  await ok('logoutAll');
}

async function tokensInCookies() {
  const options = { projectId: task.cookieProjectId, persistTokens: false };
  await open(options);
  const created = await ok('password.signUp', 'cookie@example.com', PASSWORD);
  assert.equal(created.refreshJwt, '', 'scripts never see it');
  const [cookie] = await context.cookies(task.url);
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.secure, cookie.path], ['DSR', true, 'Lax', false, '/']);
  assert.equal(await page.evaluate(() => document.cookie.includes('DSR=')), false);

  await open(options);
  const refreshed = await ok('refresh');
  assert.equal(refreshed.user.userId, created.user.userId);
  assert.equal(refreshed.refreshJwt, '');
  assert.ok(refreshed.sessionJwt);
  assert.equal((await ok('me')).userId, created.user.userId);
  await ok('logout');
  assert.deepEqual(await context.cookies(task.url), [], 'it has expired');
  assert.equal((await called('refresh')).code, 401);

  const signedIn = await ok('password.signIn', 'cookie@example.com', PASSWORD);
  assert.equal(signedIn.firstSeen, false);
  assert.equal((await context.cookies(task.url)).length, 1);
}

try {
  await tokensInThePage();
  await tokensInCookies();
  browser.assertOnlyAsked([site.url, task.url]);
  console.log('null');
} finally {
  await browser.close();
  await site.close();
}
