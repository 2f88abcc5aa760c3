// ballast.h as JavaScript sees it: which functions there are, what they take, and where the fields
// of its structures lie, for 32-bit and for 64-bit memory. The tests hold this against the header.

/** Parameters and result of each function: p is a pointer or a size_t, u a uint64_t, i an int. */
export const SIGNATURES = {
  ballast_error_free: 'p',
  ballast_options_create: '>p',
  ballast_options_free: 'p',
  ballast_options_set: 'piu>i',
  ballast_options_set_path: 'pp>i',
  ballast_data_close: 'p',
  ballast_data_siblings: 'ppppp>i',
  ballast_siblings_free: 'p',
  ballast_data_file: 'pp',
  ballast_loader_create: 'ppp>i',
  ballast_loader_free: 'p',
  ballast_loader_prepare: 'ppppp>i',
  ballast_loader_commit: 'ppp>i',
  ballast_loader_finish: 'ppp>i',
  ballast_loader_progress: 'pp',
  ballast_loader_has_directory: 'p>i',
  ballast_model_from_data: 'pppppp>i',
  ballast_model_close: 'p',
  ballast_model_summary: 'pp',
  ballast_model_tensor: 'ppp>i',
  ballast_model_find: 'pppp>i',
  ballast_model_shard: 'ppp>i',
  ballast_model_warning: 'ppp>i',
  ballast_model_entry: 'ppp>i',
  ballast_model_value: 'pppp>i',
} as const;

export type FunctionName = keyof typeof SIGNATURES;

/** What a field is: u, i or p as above, or b, 64 bits that are any number. */
export type FieldType = 'u' | 'i' | 'p' | 'b';

/** The fields of a structure in order. */
type Layout = readonly (readonly [name: string, type: FieldType])[];

const VALUE = [['bits', 'b'], ['data', 'p'], ['size', 'p'], ['type', 'i'], ['elementType', 'i']] as const;

export const STRUCTURES = {
  error: [
    ['offset', 'u'], ['expected', 'u'], ['actual', 'u'], ['name', 'p'], ['message', 'p'], ['what', 'p'],
    ['path', 'p'], ['subject', 'p'], ['subjectSize', 'p'], ['code', 'i'], ['subjectKind', 'i'], ['has', 'i'],
    ['reserved', 'i'], ['inputOffset', 'u'],
  ],
  file: [
    ['fileSize', 'u'], ['dataOffset', 'u'], ['bytes', 'p'], ['size', 'p'], ['name', 'p'], ['nameSize', 'p'],
    ['data', 'p'], ['compression', 'p'], ['compressedSize', 'u'], ['isMmap', 'i'], ['isComplete', 'i'],
  ],
  progress: [['done', 'u'], ['total', 'u'], ['inputDone', 'u'], ['inputTotal', 'u']],
  summary: [
    ['version', 'u'], ['alignment', 'u'], ['fileBytes', 'u'], ['parameterCount', 'u'], ['format', 'p'],
    ['tensorCount', 'p'], ['entryCount', 'p'], ['warningCount', 'p'], ['shardCount', 'p'], ['isSharded', 'i'],
    ['isComplete', 'i'],
  ],
  tensor: [
    ['offset', 'u'], ['nbytes', 'u'], ['elements', 'u'], ['shape', 'p'], ['rank', 'p'], ['name', 'p'],
    ['nameSize', 'p'], ['dtype', 'p'], ['dtypeSize', 'p'], ['bytes', 'p'], ['shard', 'p'], ['index', 'p'],
    ['blockElements', 'i'], ['blockBytes', 'i'],
  ],
  warning: [['offset', 'u'], ['name', 'p'], ['message', 'p'], ['code', 'i'], ['reserved', 'i']],
  value: VALUE,
  entry: [['offset', 'u'], ['key', 'p'], ['keySize', 'p'], ...VALUE],
} as const satisfies Record<string, Layout>;

export type StructureName = keyof typeof STRUCTURES;

/** A structure that was read: of a uint64_t the number, undefined where it is BALLAST_UNKNOWN; its bits where any means something. */
export type Structure<Name extends StructureName> = {
  readonly [Field in (typeof STRUCTURES)[Name][number] as Field[0]]: Field[1] extends 'u' ? number | undefined
    : Field[1] extends 'b' ? bigint : number;
};

/** Numbers of ballast_options_set. */
export const OPTIONS = {
  total: 3,
  maxBytes: 4,
  lenient: 5,
  decompress: 7,
  directoryOnly: 8,
  maxRatio: 9,
  maxWindow: 10,
  acceptIndex: 11,
} as const;

export type OptionName = keyof typeof OPTIONS;

/** Which numbers of an error mean something. */
export const HAS_OFFSET = 1;
export const HAS_EXPECTED = 2;
export const HAS_ACTUAL = 4;
export const HAS_INPUT_OFFSET = 8;

/** What an error is about. */
export const SUBJECT_TENSOR = 2;
export const SUBJECT_KEY = 3;
export const SUBJECT_FILE = 4;
