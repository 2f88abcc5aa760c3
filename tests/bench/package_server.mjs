// A server in a process of its own: what it takes is nobody's in whom memory and time are measured.
//
//     package_server.mjs NAME=FOLDER...   prints its origin, and ends with its standard input
import { serve } from '../package/server.mjs';

const roots = process.argv.slice(2).map((argument) => argument.split('='));
const { origin } = await serve(Object.fromEntries(roots), { idleSeconds: 3600 });
console.log(origin);
process.stdin.resume();
process.stdin.on('end', () => process.exit());
