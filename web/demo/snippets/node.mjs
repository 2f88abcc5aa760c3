import { open } from 'ballast-loader';

const model = await open('model.gguf');   // a path, or a URL
for (const { name, dtype, shape } of model.tensors) {
  console.log(name, dtype, shape.join(' x '));
}
const { min, max, mean } = await model.tensors[0].stats();
console.log(min, max, mean);
model.close();
