import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

export default {
  preprocess: vitePreprocess(),
  compilerOptions: {
    runes: true,
    // Tables become cards on small screens by `display`, which takes their meaning away in some browsers: roles give it back.
    warningFilter: (warning) => warning.code !== 'a11y_no_redundant_roles',
  },
};
