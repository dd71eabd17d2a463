// Fails when src/lib/schema.d.ts is not what openapi-typescript makes of api/openapi.yaml.
import { readFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const here = (path) => new URL(`../${path}`, import.meta.url);
const made = astToString(await openapiTS(here('../api/openapi.yaml')));
const kept = readFileSync(here('src/lib/schema.d.ts'), 'utf8');
const body = (text) => text.slice(text.indexOf('export interface paths')).trim();
if (body(made) !== body(kept)) {
  console.error('src/lib/schema.d.ts is stale: run `npm run types` and commit it.');
  process.exit(1);
}
console.log('schema.d.ts fits api/openapi.yaml');
