// A colour for each dtype: a hue for a family, and darker the more bits it has. The name always stands beside it.

const FAMILIES: readonly (readonly [RegExp, number])[] = [
  [/^(F64|F32|C64)$/, 212],
  [/^(F16|BF16)$/, 190],
  [/^(F8|F6|F4|E8|MXFP|NVFP)/, 165],
  [/^Q8/, 262],
  [/^Q6/, 292],
  [/^Q5/, 322],
  [/^Q4/, 350],
  [/^Q3/, 14],
  [/^Q[12]/, 32],
  [/^IQ/, 48],
  [/^TQ/, 78],
  [/^(I|U|BOOL)/, 110],
];

/** Steps within a family, so that Q4_0 and Q4_K differ. */
function step(dtype: string): number {
  let sum = 0;
  for (const sign of dtype) sum += sign.codePointAt(0) ?? 0;
  return sum % 4;
}

export function colour(dtype: string): string {
  const hue = FAMILIES.find(([name]) => name.test(dtype))?.[1];
  if (hue === undefined) return 'hsl(0 0% 50%)';
  return `hsl(${hue} 58% ${42 + 5 * step(dtype)}%)`;
}
