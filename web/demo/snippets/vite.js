import { open } from 'ballast-loader';

const onProgress = ({ loaded, total }) => console.log(loaded, total);
const model = await open('model.gguf', { onProgress });
for (const { name, dtype, shape } of model.tensors) {
  document.body.append(`${name} ${dtype} ${shape.join(' × ')}\n`);
}
const [tensor] = model.tensors;
const bytes = tensor.bytes();           // a view of the memory: no copy
const values = await tensor.values();   // a Float32Array, of any dtype
document.title = `${bytes.length} bytes, ${values.length} values`;
