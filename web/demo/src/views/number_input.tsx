import type { VNode } from 'preact';

interface NumberInputProps {
  readonly id: string;
  readonly label: string;
  readonly value: number;
  readonly max: number;
  readonly onChange: (value: number) => void;
}

/** A whole number from 0 to `max`. */
export function NumberInput({ id, label, value, max, onChange }: NumberInputProps): VNode {
  const take = (text: string): void => {
    const number = Math.trunc(Number(text));
    if (text !== '' && Number.isFinite(number)) onChange(Math.max(0, Math.min(number, max)));
  };
  return (
    <label class="number" for={id}>
      <span>{label}</span>
      <input id={id} type="number" min={0} max={max} value={value} onChange={({ currentTarget }) => take(currentTarget.value)} />
    </label>
  );
}
