// Receives events, verifies their signatures, and drops duplicates: `node receiver.mjs whsec_…`. Needs no package.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const [secret, port = "9000"] = process.argv.slice(2);
const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
const seen = new Set(); // keep ids for as long as you can: in your database, beside what you do with the event

function isSigned(body, headers) {
  const id = headers["webhook-id"], time = headers["webhook-timestamp"];
  if (!id || !(Math.abs(Date.now() / 1000 - Number(time)) < 300)) return false; // older than five minutes: a copy
  const expected = createHmac("sha256", key).update(`${id}.${time}.`).update(body).digest();
  return (headers["webhook-signature"] ?? "").split(" ").some((each) => {
    const [version, signature = ""] = each.split(",");
    const given = Buffer.from(signature, "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray()); // the bytes as they came: parsed JSON has another signature
  if (!isSigned(body, request.headers)) return response.writeHead(401).end();
  const event = JSON.parse(body);
  if (!seen.has(event.id)) {
    seen.add(event.id);
    console.log(event.type, event.subject, JSON.stringify(event.data));
  }
  response.writeHead(204).end(); // 2xx takes an event, everything else has it sent again
}).listen(Number(port), "127.0.0.1");
