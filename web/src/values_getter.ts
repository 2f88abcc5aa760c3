// Gets what reads values when it is wanted, once.
import { makeError } from './errors.js';
import type { ValuesGetter, ValuesTool } from './values_api.js';
import type { Modules, WasmSource } from './wasm.js';

/** How values.ts is had: fetched, or a part of the same file. */
export type ValuesImport = () => Promise<typeof import('./values.js')>;

/** For a source of modules: what makes a getter for a model that was opened like that. */
export function valuesOf(modules: Modules, load: ValuesImport, module: () => Promise<WebAssembly.Module>): (given: WasmSource) => ValuesGetter {
  const usual = getter(modules, load, module, {});
  return (given) => (given.valuesUrl === undefined ? usual : getter(modules, load, module, given));
}

function getter(modules: Modules, load: ValuesImport, module: () => Promise<WebAssembly.Module>, given: WasmSource): ValuesGetter {
  let tool: Promise<ValuesTool> | undefined;
  const make = async () => {
    const { makeTool } = await load().catch((cause: unknown) => {
      throw makeError('no_module', `what reads values could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
    return makeTool({ makeError, module: () => modules.values(given, module) });
  };
  return () => {
    tool ??= make();
    tool.catch(() => (tool = undefined)); // offline, say: the next one tries again
    return tool;
  };
}
