// A GraphQL server and clients that talk on loopback: graphql_live.mjs MODULES DIR PORT [few]. HTTP/1.1 and WebSockets on PORT, HTTP/2 on
// the port behind it. What the client sent and got goes into DIR/truth.jsonl, a line for each operation, in order. "few": no large answers,
// and none that are compressed over HTTP/2, where it may be lost that they are.
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import path from "node:path";
import zlib from "node:zlib";
import { createRequire } from "node:module";

const [modules, dir, portText, few] = process.argv.slice(2);
const port = Number(portText);
const require = createRequire(path.join(modules, "x.js"));
const { GraphQLError } = require("graphql");
const { createSchema, createYoga } = require("graphql-yoga");
const { useServer } = require("graphql-ws/lib/use/ws");
const { createClient } = require("graphql-ws");
const { WebSocket, WebSocketServer } = require("ws");

const schema = createSchema({
    typeDefs: `
        type Item { id: ID!, name: String!, price: Float, parts: [Item!]! }
        input NewItem { name: String!, tags: [String!] }
        type Query { item(id: ID!): Item, items(first: Int = 3): [Item!]!, broken: String, secret: String! }
        type Mutation { add(item: NewItem!): Item, remove(id: ID!): Boolean }
        type Subscription { prices(n: Int!): Float }`,
    resolvers: {
        Query: {
            item: (_, { id }) => ({ id, name: `item "${id}" äöü`, price: 1.5 }),
            items: (_, { first }) => Array.from({ length: first }, (_, i) => ({ id: i, name: `n${i}`, price: i })),
            broken: () => { throw new GraphQLError("it is broken", { extensions: { code: "BROKEN" } }); },
            secret: () => { throw new GraphQLError("not for you", { extensions: { code: "FORBIDDEN" } }); },
        },
        Item: { parts: () => [] },
        Mutation: { add: (_, { item }) => ({ id: 9, name: item.name }), remove: () => true },
        Subscription: { prices: { subscribe: async function* (_, { n }) { for (let i = 0; i < n; i++) yield { prices: i / 2 }; } } },
    },
});
const yoga = createYoga({ schema, batching: true, multipart: true, graphiql: false, logging: false, maskedErrors: false });
const truth = [];
const known = (protocol, asked, answer) => {
    const results = Array.isArray(answer) ? answer : [answer];
    const errors = results.flatMap((result) => result.errors ?? []);
    truth.push({ protocol, ...asked, errors: errors.length, message: errors[0]?.message ?? "", code: errors[0]?.extensions?.code ?? "",
        has_data: results.some((result) => result.data != null) });
};

// What is asked: the request, and what anybody can see that it asks for.
const operations = [
    [{ query: "{ items { id } }" }, { type: "query", name: "", fields: ["items"] }],
    [{ query: "query One($id: ID!) { item(id: $id) { ...Rest } } fragment Rest on Item { name price }", variables: { id: "a\"ü" }, operationName: "One" },
        { type: "query", name: "One", fields: ["item"], variables: { id: "a\"ü" } }],
    [{ query: "query A { broken } query B { first: item(id: 1) { id } broken ...More } fragment More on Query { items { id } }", operationName: "B" },
        { type: "query", name: "B", fields: ["item", "broken", "items"] }],
    [{ query: "mutation Add($item: NewItem!) {\n  # a comment {\n  add(item: $item) { id name }\n  remove(id: \"}\")\n}", variables: { item: { name: "x", tags: ["{", "]"] } } },
        { type: "mutation", name: "Add", fields: ["add", "remove"], variables: { item: { name: "x", tags: ["{", "]"] } } }],
    [{ query: "{ secret }" }, { type: "query", name: "", fields: ["secret"] }],
    [{ query: "query Wrong { nope }" }, { type: "query", name: "Wrong", fields: ["nope"] }],
    [{ query: `query Big { items(first: ${few ? 3 : 2000}) { id name price parts { id } } }` }, { type: "query", name: "Big", fields: ["items"] }],
    [[{ query: "mutation M { remove(id: 1) }" }, { query: "{ broken }" }, { query: "{ items { id } }" }],
        { type: "mutation", name: "M", fields: ["remove"], batch: 3 }],
];

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ask = (method, target, headers, body) =>
    new Promise((resolve, reject) => {
        const request = http.request({ host: "127.0.0.1", port, method, path: target, agent, headers }, (response) => {
            const parts = [];
            response.on("data", (part) => parts.push(part));
            response.on("end", () => resolve(Buffer.concat(parts).toString()));
        });
        request.on("error", reject);
        request.end(body);
    });

async function overHttp1() {
    const json = { "content-type": "application/json", accept: "application/json" };
    for (const [request, asked] of operations)
        known("http", asked, JSON.parse(await ask("POST", "/graphql", json, JSON.stringify(request))));
    const query = "query Got { item(id: \"1 + 1\") { name } }";
    known("http", { type: "query", name: "Got", fields: ["item"] },
        JSON.parse(await ask("GET", `/graphql?${new URLSearchParams({ query, operationName: "Got" })}`, {})));
    known("http", { type: "query", name: "", fields: ["items"] },
        JSON.parse(await ask("POST", "/graphql", { "content-type": "application/graphql" }, "{ items { id } }")));
    known("http", { type: "mutation", name: "", fields: ["remove"] },
        JSON.parse(await ask("POST", "/graphql", { "content-type": "application/x-www-form-urlencoded" }, new URLSearchParams({ query: "mutation { remove(id: 2) }" }).toString())));
    const parts = "--bound\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n" + JSON.stringify({ query: "mutation Up { remove(id: 3) }" })
        + "\r\n--bound\r\ncontent-disposition: form-data; name=\"map\"\r\n\r\n{}\r\n--bound--\r\n";
    known("http", { type: "mutation", name: "Up", fields: ["remove"] },
        JSON.parse(await ask("POST", "/graphql", { "content-type": "multipart/form-data; boundary=bound" }, parts)));
    const events = await ask("POST", "/graphql", { ...json, accept: "text/event-stream" }, JSON.stringify({ query: "subscription S { prices(n: 4) }" }));
    known("http", { type: "subscription", name: "S", fields: ["prices"] }, events.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6))));
    await ask("POST", "/rest", json, JSON.stringify({ query: "SELECT 1" })); // none of GraphQL's
    await ask("GET", "/rest?query=shoes", {});
}

async function overHttp2() {
    const client = http2.connect(`http://127.0.0.1:${port + 1}`);
    for (const [request, asked] of operations) {
        const answer = await new Promise((resolve, reject) => {
            const stream = client.request({ ":method": "POST", ":path": "/graphql", "content-type": "application/json" });
            const chunks = [];
            stream.on("data", (chunk) => chunks.push(chunk)).on("end", () => resolve((few ? Buffer.concat(chunks) : zlib.gunzipSync(Buffer.concat(chunks))).toString())).on("error", reject);
            stream.end(JSON.stringify(request));
        });
        known("http2", asked, JSON.parse(answer));
    }
    client.close();
}

async function overWebSocket() {
    const client = createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, lazy: false });
    const run = (payload) =>
        new Promise((resolve) => {
            const results = [];
            client.subscribe(payload, { next: (result) => results.push(result), error: (errors) => resolve([...results, { errors }]), complete: () => resolve(results) });
        });
    known("ws", { type: "subscription", name: "W", fields: ["prices"] }, await run({ query: "subscription W { prices(n: 5) }" }));
    known("ws", { type: "query", name: "Q", fields: ["item"], variables: { i: 1 } }, await run({ query: "query Q($i: ID!) { item(id: $i) { id } }", variables: { i: 1 } }));
    known("ws", { type: "query", name: "", fields: ["nope"] }, await run({ query: "{ nope }" }));
    await client.dispose();
}

const server = http.createServer((request, response) => (request.url.startsWith("/graphql") ? yoga(request, response) : response.end("{}")));
const sockets = new WebSocketServer({ server, path: "/graphql" });
useServer({ schema }, sockets);
// node's HTTP/2 with what yoga answers, compressed.
const server2 = http2.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const answer = await yoga.fetch("http://127.0.0.1/graphql", { method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: Buffer.concat(chunks) });
    response.setHeader("content-type", "application/json");
    if (!few) response.setHeader("content-encoding", "gzip");
    response.end(few ? await answer.text() : zlib.gzipSync(await answer.text()));
});
await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
await new Promise((resolve) => server2.listen(port + 1, "127.0.0.1", resolve));
await overHttp1();
await overHttp2();
await overWebSocket();
agent.destroy();
sockets.close();
server2.close();
server.close();
fs.writeFileSync(path.join(dir, "truth.jsonl"), truth.map((line) => JSON.stringify(line) + "\n").join(""));
