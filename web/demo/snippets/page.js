import { inspect } from './ballast-loader/web.js';

const head = await inspect('model.gguf');   // reads the directory alone
const lines = head.tensors.map(({ name, dtype }) => `${name} ${dtype}`);
document.querySelector('#tensors').textContent = lines.join('\n');
const { min, max } = await head.tensors[0].stats();   // and a tensor
document.title = `from ${min} to ${max}`;
