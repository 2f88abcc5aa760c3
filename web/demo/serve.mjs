// Serves the demo that was built, on loopback alone, until it is interrupted or nobody has asked for anything for a while:
//
//     serve.mjs [FOLDER]    by default build/demo; BALLAST_IDLE_SECONDS says how long a while is, by default an hour
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { preview } from 'vite';

const here = path.dirname(fileURLToPath(import.meta.url));
const outDir = path.resolve(process.argv[2] ?? path.join(here, '../../build/demo'));
const idle = 1000 * Number(process.env.BALLAST_IDLE_SECONDS ?? 3600);

/** Whether a file is there, and lies outside of the folder: what serves follows every link. */
function isOutside(file) {
  try {
    return path.relative(fs.realpathSync(outDir), fs.realpathSync(file)).split(path.sep)[0] === '..';
  } catch {
    return false; // not there
  }
}

/** Refuses what a link in the folder leads out to, under each name that it is looked for by. */
function refuseLinksOut(request, response, next) {
  let name;
  try {
    name = decodeURIComponent(request.url.split(/[?#]/)[0]);
  } catch {
    name = '\0';
  }
  const asked = path.join(outDir, path.posix.normalize(`/${name}`));
  const isRefused = name.includes('\0') || [asked, `${asked}.html`, path.join(asked, 'index.html'), path.join(outDir, 'index.html')].some(isOutside);
  if (!isRefused) return next();
  response.writeHead(403, { 'Content-Type': 'text/plain' }).end('refused');
}

const server = await preview({
  configFile: false,
  root: here,
  logLevel: 'error',
  plugins: [{ name: 'no-links-out', configurePreviewServer: ({ middlewares }) => void middlewares.use(refuseLinksOut) }],
  build: { outDir },
  preview: { host: '127.0.0.1', port: 4173, open: process.stdout.isTTY && Boolean(process.env.DISPLAY) },
});

async function end(sentence) {
  clearTimeout(timer);
  console.log(sentence);
  await server.close();
  process.exit();
}

const timer = setTimeout(() => void end('Nobody has asked for anything for a while: it ends.'), idle);
server.httpServer.on('request', () => timer.refresh());
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void end(''));

const { port } = server.httpServer.address();
console.log(`The demo is at http://127.0.0.1:${port}/ (Ctrl-C ends it).`);
