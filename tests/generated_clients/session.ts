// A session with the client that openapi-typescript and openapi-fetch generate: list, create and download.
// Usage: node session.ts BASE_URL API_KEY FILE
import { writeFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.ts";

const [baseUrl, apiKey, file] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });

const listed = await client.GET("/api/projects", { params: { query: { search: "demo project", sort_field: "name" } } });
if (!listed.data) throw new Error(JSON.stringify(listed.error));
const names: string[] = listed.data.items.map((project: components["schemas"]["Project"]) => project.name);
console.log(names.join());

const created = await client.POST("/api/projects", { body: { name: "Made in TypeScript" } });
if (!created.data) throw new Error(JSON.stringify(created.error));
const path = { project_id: created.data.project_id };
console.log(created.data.project.name, created.data.project.role);

const archive = await client.GET("/api/projects/{project_id}/export", { params: { path }, parseAs: "arrayBuffer" });
if (!archive.data) throw new Error(JSON.stringify(archive.error));
await writeFile(file, Buffer.from(archive.data as ArrayBuffer));

const deleted = await client.DELETE("/api/projects/{project_id}", { params: { path } });
if (!deleted.data) throw new Error(JSON.stringify(deleted.error));
const missing = await client.GET("/api/projects/{project_id}", { params: { path } });
console.log(missing.response.status, missing.error && "detail" in missing.error ? missing.error.detail : "");
