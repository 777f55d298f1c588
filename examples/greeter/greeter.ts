// A controller in TypeScript that knows NATS and nothing of Kubernetes: for each
// Greeting it keeps a ConfigMap, and reports the message as the Greeting's status.
//
//   follow the log ─► fold ─► decide ─► apply through the API, report a fact
//
// usage: node dist/greeter.js credentials.json
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, headers, type Msg } from "@nats-io/transport-node";

const group = "examples.reckon.dev";
const resources = [{ group, resource: "greetings" }, { group: "", resource: "configmaps" }];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Obj = { metadata: { namespace: string; name: string; uid: string; resourceVersion: string; deletionTimestamp?: string }; [key: string]: any };
type Event = { sequence: number; subject: string; type: string; header: Record<string, string>; data?: any };

// --- the bus ---

const who = JSON.parse(readFileSync(process.argv[2] ?? "greeter.json", "utf8"));
const token = (text: string) => text.replace(/[.*>% ]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
const api = (service: string) => `api.${token(who.identity)}.${service}`;
const tls = { ca: who.authority, servername: "bus.reckon" }; // whatever its address: the certificate is for that name

const bus = await connect({
  servers: who.url.replaceAll("tls://", "").split(","), user: who.identity, pass: who.token, tls: tls as any,
  inboxPrefix: "_INBOX_" + token(who.identity), maxReconnectAttempts: -1, reconnectTimeWait: 250,
});

async function ask(service: string, data: string, h: Record<string, string>, timeout: number): Promise<Msg> {
  const head = headers();
  for (const [name, value] of Object.entries(h)) head.set(name, encodeURI(value));
  const m = await bus.request(api(service), data, { timeout, headers: head });
  if (m.headers?.get("Reckon-Error")) throw new Error(m.headers.get("Reckon-Error"));
  return m;
}

/** One request of the Kubernetes API. */
async function request(method: string, path: string, body?: unknown, contentType = "application/json"): Promise<any> {
  const m = await ask("do", body === undefined ? "" : JSON.stringify(body), {
    "Reckon-Method": method, "Reckon-Path": path, "Content-Type": contentType, Accept: "application/json",
  }, 60_000);
  const status = Number(m.headers?.get("Reckon-Status"));
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${m.string()}`);
  return m.json();
}

/** What happened after a position; 0 asks where the log is. */
async function log(after: number): Promise<{ position: number; events: Event[] }> {
  const answer = (await ask("log", JSON.stringify({ resources, after, wait: 20 }), {}, 30_000)).json<any>();
  if (answer.error) throw new Error(answer.error.message);
  return { position: answer.position, events: answer.events ?? [] };
}

const incarnation = Date.now();
let reports = 0;

/** A fact about an object's status. */
async function report(o: Obj, status: Json, cause: number, reason: string): Promise<void> {
  const key = [group, "greetings", o.metadata.namespace, o.metadata.name].map(token).join(".");
  const answer = (await ask("fact." + key, JSON.stringify({ status }), {
    "ce-uid": o.metadata.uid, "ce-counter": `${incarnation}.${++reports}`, "ce-reason": reason, ...(cause ? { "ce-cause": String(cause) } : {}),
  }, 30_000)).json<any>();
  if (answer.error) throw new Error(answer.error.message);
}

// --- the fold: fifteen lines in any language ---

/** RFC 7386, with the one addition that status.conditions is merged by type. */
function merge(target: any, patch: any, path = ""): any {
  if (path === ".status.conditions" && Array.isArray(patch) && Array.isArray(target)) {
    const kept = target.filter((c) => !patch.some((p) => p.type === c.type));
    return [...kept, ...patch.filter((p) => p.$patch !== "delete")];
  }
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const out = target !== null && typeof target === "object" && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value, `${path}.${key}`);
  }
  return out;
}

const objects = new Map<string, Obj>(); // "resource/namespace/name"

function fold(e: Event): string {
  const [, resource, namespace, name] = e.subject.split(".").slice(-4).map(decodeURIComponent);
  const key = `${resource}/${namespace}/${name}`;
  const old = objects.get(key);
  if (old && Number(old.metadata.resourceVersion) >= e.sequence) return key; // the list had it
  if (e.type === "deleted") objects.delete(key);
  else if (e.header["content-type"] === "application/json") objects.set(key, e.data);
  else if (old) objects.set(key, merge(old, e.data ?? {}));
  const now = objects.get(key);
  if (now) now.metadata = { ...now.metadata, resourceVersion: String(e.sequence) };
  return key;
}

// --- the controller ---

async function reconcile(key: string, cause: number): Promise<void> {
  const greeting = objects.get(key);
  if (!greeting || greeting.metadata.deletionTimestamp) return; // its ConfigMap goes with it
  const { namespace, name, uid } = greeting.metadata;
  const message = `Good ${name}, ${greeting.spec?.whom ?? "world"}!`;
  if (objects.get(`configmaps/${namespace}/greeting-${name}`)?.data?.message !== message) {
    await request("PATCH", `/api/v1/namespaces/${namespace}/configmaps/greeting-${name}?fieldManager=greeter&force=true`, {
      apiVersion: "v1", kind: "ConfigMap", data: { message },
      metadata: {
        name: `greeting-${name}`,
        ownerReferences: [{ apiVersion: `${group}/v1`, kind: "Greeting", name, uid, controller: true }],
      },
    }, "application/apply-patch+yaml");
    console.log(`${key}: ${message}`);
  }
  if (greeting.status?.message !== message) await report(greeting, { message }, cause, "Greeted");
}

/** The greeting that an object is, or that it was made for. */
const concerns = (key: string) => key.replace(/^configmaps\/([^/]*)\/greeting-/, "greetings/$1/");

async function run(): Promise<never> {
  let { position } = await log(0); // what happens from here on is in the log, what was before in the lists
  objects.clear();
  for (const [resource, path] of [["greetings", `/apis/${group}/v1/greetings`], ["configmaps", "/api/v1/configmaps"]]) {
    for (const o of (await request("GET", path)).items as Obj[]) objects.set(`${resource}/${o.metadata.namespace}/${o.metadata.name}`, o);
  }
  for (const key of [...objects.keys()].filter((k) => k.startsWith("greetings/"))) await reconcile(key, 0);
  for (;;) {
    const news = await log(position);
    const touched = new Map<string, number>();
    for (const e of news.events) touched.set(concerns(fold(e)), e.sequence);
    for (const [key, sequence] of touched) await reconcile(key, sequence);
    position = news.position;
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => bus.close().finally(() => process.exit(0)));
for (;;) {
  try {
    await run();
  } catch (error) { // whatever it was: look at everything again
    console.error(String(error));
    await sleep(1000);
  }
}
