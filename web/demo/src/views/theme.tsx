// Light, dark, or as the system has it.
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const THEMES = ['auto', 'light', 'dark'] as const;

export function ThemeButton(): VNode {
  const [theme, setTheme] = useState<(typeof THEMES)[number]>('auto');
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
  return <button type="button" class="theme" onClick={() => setTheme(next)}>Theme: {theme}</button>;
}
