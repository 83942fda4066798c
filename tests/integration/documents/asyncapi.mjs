// Checks an AsyncAPI document with the parser of the AsyncAPI project; prints what is wrong and ends with 1 if anything is.

import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const wrong = diagnostics.filter((each) => each.severity <= 1); // errors and warnings
for (const { code, message, path } of wrong) console.log(`${code}: ${message} at ${path.join('.')}`);
for (const { code, message } of diagnostics) console.error(code, message);
process.exit(wrong.length ? 1 : 0);
