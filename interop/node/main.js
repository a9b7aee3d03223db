// Runs every check against the provider that the facts on standard input describe, and tells of each on a line of its own.

import { checks } from "./checks.js";

setTimeout(() => {
  console.log("not ok - the checks are not done after three minutes");
  process.exit(2);
}, 180_000).unref();

let input = "";
for await (const chunk of process.stdin) input += chunk;
const facts = JSON.parse(input);

for (const [name, check] of Object.entries(checks)) {
  try {
    await check(facts);
    console.log(`ok - ${name}`);
  } catch (error) {
    const told = [error.message, error.error, error.error_description, error.cause?.message];
    console.log(`not ok - ${name}: ${told.filter(Boolean).join(": ")}`);
    console.error(error);
    process.exitCode = 1;
  }
}
