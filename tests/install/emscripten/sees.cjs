// Holds that JavaScript sees functions of a program: node sees.cjs PROGRAM FUNCTION...
const [file, ...functions] = process.argv.slice(2);
require(file)().then((program) => {
  for (const name of functions) {
    if (typeof program[`_${name}`] !== 'function') throw new Error(`${file} does not export ${name}`);
  }
});
