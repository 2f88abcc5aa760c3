// Serves the demo that was built, on loopback alone, until it is interrupted or nobody has asked for anything for a while:
//
//     serve.mjs [FOLDER]    by default build/demo; BALLAST_IDLE_SECONDS says how long a while is, by default an hour
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { preview } from 'vite';

const here = path.dirname(fileURLToPath(import.meta.url));
const outDir = path.resolve(process.argv[2] ?? path.join(here, '../../build/demo'));
const idle = 1000 * Number(process.env.BALLAST_IDLE_SECONDS ?? 3600);

const server = await preview({
  configFile: false,
  root: here,
  logLevel: 'error',
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
