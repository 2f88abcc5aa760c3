// Three browser engines behind one small surface, so that a test is written once:
//
//   const browser = await launch('firefox');
//   const page = await browser.page(`${origin}/echo.html`);
//   await page.run(async (url) => (await fetch(url)).status, url);   // 200
//   await browser.close();
//
// Chromium is driven by puppeteer-core over CDP, Firefox by puppeteer-core over WebDriver BiDi, and
// WebKit (WebKitGTK's MiniBrowser) by plain requests of the W3C WebDriver protocol, on a display of
// its own. Paths: BALLAST_CHROMIUM, BALLAST_FIREFOX, BALLAST_WEBKIT_DRIVER. puppeteer-core is taken
// from where web/package.json finds it, or else from the folder BALLAST_NODE_MODULES.
//
// All that a launch starts carries the name of its folder in the environment, is found again by
// that and by its process group, and is ended one by one: at close(), when a launch fails, and when
// Node exits or is interrupted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

export const ENGINES = ['chromium', 'firefox', 'webkit'];

const PROGRAMS = {
  chromium: [process.env.BALLAST_CHROMIUM, '/usr/bin/chromium'],
  firefox: [process.env.BALLAST_FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox'],
  webkit: [process.env.BALLAST_WEBKIT_DRIVER, '/usr/bin/WebKitWebDriver'],
};
const XVFB = '/usr/bin/Xvfb';

const LAUNCH_TIMEOUT = 60_000;
const RUN_TIMEOUT = 120_000;
const CLOSE_TIMEOUT = 10_000;

// ---- What is there ------------------------------------------------------------------------------

/** False, or { version, path } of an engine that can be launched. `missing` says what is not there. */
export async function available(engine) {
  return await missing(engine) ? false : { version: await versionOf(engine), path: program(engine) };
}

/** What keeps an engine from being launched, or ''. */
export async function missing(engine) {
  if (!ENGINES.includes(engine)) return `no engine is called ${engine}`;
  if (!program(engine)) return `${engine} is not installed`;
  if (engine === 'webkit') {
    if (!fs.existsSync(XVFB)) return `${XVFB}, the display of webkit, is not installed`;
    if (!miniBrowser()) return 'webkit has no MiniBrowser';
  } else if (!puppeteerPath()) {
    return `puppeteer-core, which drives ${engine}, is not installed`;
  }
  return await versionOf(engine) ? '' : `${engine} does not say its version`;
}

function program(engine) {
  const [override, ...usual] = PROGRAMS[engine];
  return override ? fs.existsSync(override) && override : usual.find((file) => fs.existsSync(file));
}

const versions = new Map();

function versionOf(engine) {
  if (!versions.has(engine)) versions.set(engine, askVersion(engine));
  return versions.get(engine);
}

async function askVersion(engine) {
  const household = new Household(engine);
  try {
    // WebKit's driver has no version, and its browser tells it on a display only.
    const [file, env] = engine === 'webkit'
      ? [miniBrowser(), await startDisplay(household)]
      : [program(engine)];
    const child = household.spawn(file, ['--version'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = await within(LAUNCH_TIMEOUT, `${engine}: --version`, child.stdout.toArray());
    return /\d+(\.\w+)*/.exec(Buffer.concat(said))?.[0] ?? '';
  } catch {
    return '';
  } finally {
    await household.end();
  }
}

function miniBrowser() {
  for (const machine of fs.readdirSync('/usr/lib')) {
    for (const api of ['webkit2gtk-4.1', 'webkitgtk-6.0']) {
      const file = path.join('/usr/lib', machine, api, 'MiniBrowser');
      if (fs.existsSync(file)) return file;
    }
  }
  return null;
}

function puppeteerPath() {
  const places = [new URL('../../web/package.json', import.meta.url)];
  const { BALLAST_NODE_MODULES: other } = process.env;
  if (other) places.push(path.resolve(other, 'package.json'));
  for (const place of places) {
    try {
      return createRequire(place).resolve('puppeteer-core');
    } catch {}
  }
  return null;
}

// ---- Whose processes ----------------------------------------------------------------------------

/** The environment of what is started: its home, settings and temporary files are in the folder. */
function surroundings(folder, more = {}) {
  const folders = ['HOME', 'TMPDIR', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR'];
  return {
    ...process.env,
    ...Object.fromEntries(folders.map((name) => [name, folder])),
    // A desktop's bus and accessibility services would be started, and would stay.
    DBUS_SESSION_BUS_ADDRESS: 'disabled:',
    GTK_A11Y: 'none',
    NO_AT_BRIDGE: '1',
    BALLAST_BROWSER: folder,
    ...more,
  };
}

function readProcess(pid) {
  try {
    const read = (name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
    const stat = read('stat');
    const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    let environment = '';
    try {
      environment = read('environ');
    } catch {}
    const command = read('cmdline').split('\0');
    return { pid, parent: Number(parent), group: Number(group), command, environment };
  } catch {
    return null;  // gone, or nothing of ours
  }
}

/** A temporary folder and the processes that were started with it. */
class Household {
  static #open = new Set();

  #groups = new Set();
  #ended = false;

  constructor(engine) {
    this.engine = engine;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), `ballast-${engine}-`));
    if (Household.#open.size === 0) Household.#watch();
    Household.#open.add(this);
  }

  static #sweep = () => {
    for (const household of Household.#open) household.abandon();
  };

  static #interrupted = (signal) => {
    Household.#sweep();
    Household.#unwatch();
    process.kill(process.pid, signal);
  };

  static #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

  static #watch() {
    process.on('exit', Household.#sweep);
    for (const signal of Household.#signals) process.on(signal, Household.#interrupted);
  }

  static #unwatch() {
    process.off('exit', Household.#sweep);
    for (const signal of Household.#signals) process.off(signal, Household.#interrupted);
  }

  spawn(file, args, { env, stdio = ['ignore', 'ignore', 'pipe'] } = {}) {
    if (this.#ended) throw new Error(`${this.engine}: given up`);  // a launch that took too long
    const child = spawn(file, args, { detached: true, env: surroundings(this.folder, env), stdio });
    child.on('error', (error) => { child.failure = error.message; });
    child.said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      child.said = (child.said + text).slice(-2000);
    });
    this.adopt(child.pid);
    return child;
  }

  /** Takes a leader of a process group as one of this household's. */
  adopt(pid) {
    if (pid) this.#groups.add(pid);
  }

  /** What is alive. A name in the environment is not enough: Chromium's renderers write over theirs. */
  processes() {
    const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
    const others = pids.filter((pid) => pid !== process.pid).map(readProcess).filter(Boolean);
    const mark = `\0BALLAST_BROWSER=${this.folder}\0`;
    const ours = new Map();
    const take = (test) => {
      const found = others.filter((one) => !ours.has(one.pid) && test(one));
      for (const one of found) ours.set(one.pid, one);
      return found.length > 0;
    };
    take(({ group, environment }) => this.#groups.has(group) || `\0${environment}`.includes(mark));
    while (take(({ parent }) => ours.has(parent)));
    return [...ours.values()];
  }

  /** Ends everything at once; a display by a signal that lets it remove its lock. */
  kill() {
    const alive = this.processes();
    for (const one of alive) {
      try {
        process.kill(one.pid, nameOf(one) === 'Xvfb' ? 'SIGTERM' : 'SIGKILL');
      } catch {}
    }
    return alive.length;
  }

  abandon() {
    this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async end() {
    this.#ended = true;
    const deadline = performance.now() + CLOSE_TIMEOUT;
    while (this.kill() > 0) {
      if (performance.now() > deadline) throw new Error(`${this.engine}: its processes do not end`);
      await sleep(20);
    }
    await fs.promises.rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    Household.#open.delete(this);
    if (Household.#open.size === 0) Household.#unwatch();
  }
}

// A process that has written a title over its command line has one argument with spaces in it.
const nameOf = ({ command }) => path.basename(command[0].split(' ')[0]);

/** The part that a process has in a browser: 'renderer' is where pages, and so WebAssembly, live. */
function kindOf(one) {
  const name = nameOf(one);
  const text = one.command.join(' ');
  const known = { WebKitWebProcess: 'renderer', WebKitWebDriver: 'driver', Xvfb: 'display' }[name];
  if (known) return known;
  if (/^WebKit|crash/.test(name)) return 'helper';
  const type = / --type=([\w-]+)/.exec(text)?.[1];
  if (type) return type === 'renderer' ? 'renderer' : 'helper';
  if (text.includes(' -contentproc ')) return / tab$/.test(text.trim()) ? 'renderer' : 'helper';
  return 'browser';
}

/** The proportional set size of a process in bytes, or null if it has just ended. */
function proportion(pid) {
  try {
    const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)[1]) * 1024;
  } catch (error) {
    // A sum without it would be a wrong number that looks like a right one.
    if (error.code === 'EACCES') throw new Error(`the memory of process ${pid} is not readable`);
    return null;
  }
}

/** { total, renderer, processes: [{ pid, kind, name, pss }] } in bytes, without driver and display. */
function memoryOf(household) {
  const processes = household.processes()
    .map((one) => ({ pid: one.pid, kind: kindOf(one), name: nameOf(one), pss: proportion(one.pid) }))
    .filter(({ kind, pss }) => pss !== null && kind !== 'driver' && kind !== 'display');
  const sum = (some) => some.reduce((bytes, { pss }) => bytes + pss, 0);
  const renderers = processes.filter(({ kind }) => kind === 'renderer');
  return { total: sum(processes), renderer: sum(renderers), processes };
}

// ---- The common surface -------------------------------------------------------------------------

/** Waits for a promise no longer than that, and says what took too long. */
async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An error that says in whose doing it happened. */
function told(error, what) {
  return error.message.startsWith(what) ? error : new Error(`${what}: ${error.message}`, { cause: error });
}

/**
 * Starts a browser with an empty profile. `timeout` is for the start, `runTimeout` for each function
 * that is run in a page, unless the page's own `run.timeout` is set. `args` are further arguments of
 * the browser: WebKit with `--features=+FileSystem,+StorageAPI` has an OPFS, which refuses to be
 * opened (UnknownError), as in a private window; without, it has none.
 *
 * A page has `errors`, what nothing in it caught and what its policy refused so far; those of
 * workers are their own. `memory()` gives bytes of PSS, { total, renderer, processes }; renderers
 * that browsers keep ready are counted too, so that a difference says more than a value.
 */
export async function launch(engine, options = {}) {
  const { timeout = LAUNCH_TIMEOUT, runTimeout = RUN_TIMEOUT, args = [] } = options;
  const lacking = await missing(engine);
  if (lacking) throw new Error(lacking);
  const household = new Household(engine);
  let driver;
  let closed;
  const close = () => {
    const asked = closed ?? within(CLOSE_TIMEOUT, `${engine}: closing`, driver.close());
    // A browser that does not close when asked is ended all the same.
    closed ??= asked.catch(() => {}).then(() => household.end());
    return closed;
  };
  try {
    const start = engine === 'webkit' ? startWebKit : startPuppeteer;
    driver = await within(timeout, `${engine}: launching`, start(household, timeout, args));
  } catch (error) {
    await household.end();
    throw told(error, `${engine}: launching`);
  }
  return {
    engine,
    version: driver.version,
    page: async (url) => {
      const what = `${engine}: opening ${url}`;
      const opened = within(timeout, what, driver.open(url, timeout));
      const tab = await opened.catch((error) => { throw told(error, what); });
      return { ...tab, run: runner(engine, runTimeout, tab.run) };
    },
    memory: async () => memoryOf(household),
    close,
  };
}

/**
 * The function that runs functions in a page. They are sent as text: what they use they must bring
 * along or be given, and arguments and results are what JSON can hold.
 */
function runner(engine, timeout, evaluate) {
  const run = async (fn, ...args) => {
    const what = `${engine}: run(${fn.name || 'a function'})`;
    const evaluated = evaluate(call(fn, args), run.timeout);
    const answer = await within(run.timeout, what, evaluated).catch((error) => { throw told(error, what); });
    const { value, thrown } = JSON.parse(answer);
    if (!thrown) return value;
    const { stack, ...properties } = thrown;
    const error = new Error(thrown.message);
    error.stack = `${thrown.name}: ${thrown.message}\n    in a page of ${engine}: ${stack}\n${error.stack}`;
    throw Object.assign(error, properties);
  };
  run.timeout = timeout;
  return run;
}

// The whole call is one expression in the text: a page with a strict policy refuses to make
// functions from strings, but not what its debugger evaluates.
function call(fn, args) {
  return `(async () => {
    try {
      return JSON.stringify({ value: await (${fn})(...${JSON.stringify(args)}) });
    } catch (error) {
      const { name = typeof error, message = String(error), code, stack = '' } = Object(error);
      return JSON.stringify({ thrown: { name, message, code, stack: String(stack) } });
    }
  })()`;
}

// ---- Chromium and Firefox -----------------------------------------------------------------------

const CHROMIUM_ARGS = [
  '--no-sandbox',  // root may have no other, and smaps of sandboxed processes are not readable
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const FIREFOX_PREFERENCES = {
  'browser.chrome.site_icons': false,  // asking for one violates a strict policy
};

// In the page: what the console is told, the page's event is.
const POLICY_MARK = 'policy violation: ';
const WATCH_POLICY = `addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
  console.error('${POLICY_MARK}' + effectiveDirective + ' ' + blockedURI));`;

async function startPuppeteer(household, timeout, args) {
  const { engine } = household;
  const { default: puppeteer } = await import(pathToFileURL(puppeteerPath()));
  const options = engine === 'chromium'
    // By a pipe, which needs no port, and with whose end Chromium ends by itself.
    ? { browser: 'chrome', pipe: true, args: [...CHROMIUM_ARGS, ...args] }
    : { browser: 'firefox', protocol: 'webDriverBiDi', args, extraPrefsFirefox: FIREFOX_PREFERENCES };
  const browser = await puppeteer.launch({
    ...options,
    executablePath: program(engine),
    headless: true,
    userDataDir: path.join(household.folder, 'profile'),
    env: surroundings(household.folder),
    defaultViewport: null,
    timeout,
    protocolTimeout: 0,  // each call has its own limit here
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  household.adopt(browser.process().pid);
  const version = /[\d.]+\w*$/.exec(await browser.version())?.[0];
  return { version, open: (url, ms) => openPuppeteer(browser, url, ms), close: () => browser.close() };
}

async function openPuppeteer(browser, url, timeout) {
  const page = await browser.newPage();
  const errors = [];
  // Firefox tells of a policy violation here too, and so twice.
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('error', (error) => errors.push(error.message));  // the page crashed
  page.on('console', (message) => {
    if (message.text().startsWith(POLICY_MARK)) errors.push(message.text());
  });
  await page.evaluateOnNewDocument(WATCH_POLICY);
  await page.goto(url, { timeout });
  return {
    errors,
    run: (source) => page.evaluate(source),
    setFiles: async (selector, paths) => {
      const input = await page.$(selector);
      if (!input) throw new Error(`there is no ${selector}`);
      await input.uploadFile(...paths);
    },
    press: (key) => page.keyboard.press(key),
    screenshot: async (file, { width, height }) => {
      await page.setViewport({ width, height });
      await page.screenshot({ path: file });
    },
    close: () => page.close(),
  };
}

// ---- WebKit -------------------------------------------------------------------------------------

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';  // W3C WebDriver, 12.1
const KEYS = {  // W3C WebDriver, 17.4.2
  Tab: '\uE004', Enter: '\uE007', End: '\uE010', Home: '\uE011',
  ArrowLeft: '\uE012', ArrowUp: '\uE013', ArrowRight: '\uE014', ArrowDown: '\uE015',
};

// WebDriver has no scripts that run before a page's own, and no events: errors are collected in
// the page from when it is loaded, and fetched after each run.
const WATCH = `
  const seen = globalThis.__ballastErrors = [];
  addEventListener('error', ({ error, message }) => seen.push(String(error ?? message)));
  addEventListener('unhandledrejection', ({ reason }) => seen.push(String(reason)));
  addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
    seen.push('${POLICY_MARK}' + effectiveDirective + ' ' + blockedURI));`;
const SEEN = 'return globalThis.__ballastErrors?.splice(0) ?? [];';

async function startWebKit(household, timeout, args) {
  const env = await startDisplay(household);
  const port = await freePort();
  const child = household.spawn(program('webkit'), [`--port=${port}`], { env });
  await ready(child, port);
  const wanted = { 'webkitgtk:browserOptions': { binary: miniBrowser(), args: ['--automation', ...args] } };
  const capabilities = { alwaysMatch: { ...wanted, timeouts: { pageLoad: timeout, script: RUN_TIMEOUT } } };
  const created = await command(port, 'POST', '/session', { capabilities }, timeout).catch((error) => {
    throw new Error(`${error.message}\n${child.said}`);
  });
  const session = new WebKitSession(port, created.sessionId);
  return {
    version: created.capabilities.browserVersion,
    open: (url, ms) => session.open(url, ms),
    close: () => session.send('DELETE', '', undefined, CLOSE_TIMEOUT),
  };
}

/** Starts a display, and gives the environment of what is to be on it. */
async function startDisplay(household) {
  const args = ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
  const child = household.spawn(XVFB, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const said = await Promise.race([once(child.stdio[3], 'data'), once(child, 'close')]);
  const number = Buffer.isBuffer(said[0]) ? parseInt(said[0], 10) : NaN;
  if (Number.isNaN(number)) throw new Error(`${XVFB} does not start: ${child.failure ?? child.said}`);
  return { DISPLAY: `:${number}`, GDK_BACKEND: 'x11', WAYLAND_DISPLAY: '', LIBGL_ALWAYS_SOFTWARE: '1' };
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function ready(child, port) {
  while (!child.failure && child.exitCode === null && child.signalCode === null) {
    if (await command(port, 'GET', '/status', undefined, 5000).catch(() => null)) return;
    await sleep(50);
  }
  throw new Error(`the driver does not start: ${child.failure ?? child.said}`);
}

// Not fetch, which in Node gives up on an answer after 300 s, whatever one asks it for.
function command(port, method, target, body, ms) {
  return new Promise((resolve, reject) => {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = bytes ? { 'Content-Type': 'application/json', 'Content-Length': bytes.length } : {};
    const options = { host: '127.0.0.1', port, method, path: target, headers, agent: false, timeout: ms };
    const request = http.request(options, async (response) => {
      try {
        const chunks = await response.toArray();
        const { value } = JSON.parse(Buffer.concat(chunks));
        if (response.statusCode === 200) resolve(value);
        else reject(new Error(`${value.error}: ${value.message}`));
      } catch (error) {
        reject(error);
      }
    });
    request.on('timeout', () => request.destroy(new Error(`no answer to ${target} in ${ms / 1000} s`)));
    request.on('error', reject);
    request.end(bytes);
  });
}

/** A session has one current window; commands for several pages take turns. */
class WebKitSession {
  #port;
  #id;
  #turn = Promise.resolve();
  #first;

  constructor(port, id) {
    this.#port = port;
    this.#id = id;
  }

  send(method, target, body, ms = LAUNCH_TIMEOUT) {
    return command(this.#port, method, `/session/${this.#id}${target}`, body, ms);
  }

  #take(action) {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => {});
    return result;
  }

  #in(handle, action) {
    return this.#take(async () => {
      await this.send('POST', '/window', { handle });
      return action();
    });
  }

  #script(script) {
    return this.send('POST', '/execute/sync', { script, args: [] });
  }

  async open(url, timeout) {
    // The first window stays: a session ends with its last one, and opens none from a closed one.
    this.#first ??= this.send('GET', '/window');
    const create = () => this.send('POST', '/window/new', { type: 'window' });
    const { handle } = await this.#in(await this.#first, create);
    await this.#in(handle, async () => {
      await this.send('POST', '/url', { url }, timeout);
      await this.#script(WATCH);
    });
    const errors = [];
    return {
      errors,
      run: (source, ms) => this.#in(handle, () => this.#run(source, ms, errors)),
      setFiles: (selector, paths) => this.#in(handle, () => this.#setFiles(selector, paths)),
      press: (key) => this.#in(handle, () => this.#press(KEYS[key] ?? key)),
      screenshot: (file, size) => this.#in(handle, () => this.#screenshot(file, size)),
      close: () => this.#in(handle, () => this.send('DELETE', '/window')),
    };
  }

  async #run(source, ms, errors) {
    await this.send('POST', '/timeouts', { script: ms });
    const script = `const done = arguments[arguments.length - 1]; ${source}.then(done);`;
    try {
      return await this.send('POST', '/execute/async', { script, args: [] }, ms + 5000);
    } finally {
      errors.push(...await this.#script(SEEN).catch(() => []));
    }
  }

  async #setFiles(selector, paths) {
    const found = await this.send('POST', '/element', { using: 'css selector', value: selector });
    const target = `/element/${found[ELEMENT]}`;
    await this.send('POST', `${target}/clear`, {});  // files of an earlier call would stay
    await this.send('POST', `${target}/value`, { text: paths.join('\n') });
  }

  #press(value) {
    const actions = [{ type: 'keyDown', value }, { type: 'keyUp', value }];
    return this.send('POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  async #screenshot(file, { width, height }) {
    // The size that can be set is the window's; the page's is less by its borders and bars.
    await this.send('POST', '/window/rect', { width, height });
    const [w, h] = await this.#script('return [innerWidth, innerHeight];');
    await this.send('POST', '/window/rect', { width: 2 * width - w, height: 2 * height - h });
    const image = await this.send('GET', '/screenshot');
    fs.writeFileSync(file, Buffer.from(image, 'base64'));
  }
}
