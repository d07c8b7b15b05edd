// What the tests in a browser share: a web page on loopback, and a Chromium with a fresh profile that finds its way to nowhere else.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // No name leads anywhere, so that what asks for another host fails at once, and is found out.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];
const PATIENCE_MS = 30_000;

// The packages that `script` imports, and the script, as one file that a browser can run.
async function bundled(script) {
  const result = await build({
    stdin: { contents: script, resolveDir: import.meta.dirname, sourcefile: 'page.js' },
    bundle: true,
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    format: 'iife',
    logLevel: 'silent',
    platform: 'browser',
    write: false,
  });
  return result.outputFiles[0].text;
}

/**
 * Serves an empty page that runs `script`, an ES module which may import packages, on a port of its own: any path leads to it. Give
 * the page what it shall offer by `globalThis.name = ...`. Answers `{ url, close }`; the URL has no slash at its end.
 */
export async function servePage(script) {
  const code = await bundled(script);
  const server = createServer((request, response) => {
    if (request.url === '/page.js') {
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(code);
    } else if (request.url === '/favicon.ico') {
      response.writeHead(204).end();
    } else {
      const page = '<!doctype html><title>A page</title><script src="/page.js"></script>';
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

/**
 * Starts the Chromium at `executable`. Answers `{ context, page, answers, assertOnlyAsked, close }`:
 * - `page` is an open tab of `context` (both of Playwright);
 * - `answers` lists what the page has been answered so far, `{ method, url, status }`;
 * - `assertOnlyAsked(bases)` fails if the page has asked for anything elsewhere.
 */
export async function startBrowser(executable) {
  const browser = await chromium.launch({ executablePath: executable, headless: true, args: ARGUMENTS, timeout: PATIENCE_MS });
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  const asked = [];
  const answers = [];
  context.on('request', (request) => asked.push(request.url()));
  context.on('response', (response) => {
    answers.push({ method: response.request().method(), url: response.url(), status: response.status() });
  });
  const page = await context.newPage();
  const assertOnlyAsked = (bases) => {
    const origins = bases.map((base) => new URL(base).origin);
    const elsewhere = asked.filter((url) => /^(https?|wss?):/.test(url) && !origins.includes(new URL(url).origin));
    assert.deepEqual(elsewhere, [], 'the page asked for something elsewhere');
    assert.ok(asked.length > 0, 'the page asked for nothing at all');
  };
  return { context, page, answers, assertOnlyAsked, close: () => browser.close() };
}
