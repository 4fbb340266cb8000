// The same public paths that Google's clients use; no private endpoint but /console/about.

const TIMEOUT_MS = 15_000;
export const project = document.body.dataset.project;

export class Refused extends Error {}
export class Unreachable extends Error {}

async function answer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new Unreachable(
      error.name === "TimeoutError" ? "The emulator did not answer in time." : "The emulator is not reachable.",
    );
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    // Google's errors are {error: {message}}, those of the Prometheus API {status: "error", error: "..."}.
    const message = typeof body?.error === "string" ? body.error : body?.error?.message;
    throw new Refused(message ?? `HTTP ${response.status} from ${path.split("?")[0]}`);
  }
  return body ?? {};
}

const post = (path, body) =>
  answer(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const about = () => answer("/console/about");

async function everyPage(path, field, most = 20) {
  const found = [];
  let token = "";
  for (let page = 0; page < most; page += 1) {
    const separator = path.includes("?") ? "&" : "?";
    const body = await answer(token ? `${path}${separator}pageToken=${encodeURIComponent(token)}` : path);
    found.push(...(body[field] ?? []));
    token = body.nextPageToken;
    if (!token) break;
  }
  return found;
}

export const dashboards = () => everyPage(`/v1/projects/${project}/dashboards`, "dashboards");
export const policies = () => everyPage(`/v3/projects/${project}/alertPolicies`, "alertPolicies");
export const alerts = async () => (await answer(`/v3/projects/${project}/alerts`)).alerts ?? [];
export const notifications = async () => (await answer("/emulator/v1/notifications")).notifications ?? [];
export const traces = (filter, limit) => answer(`/emulator/v1/traces?${new URLSearchParams({ filter, limit })}`);
export const trace = (traceId) => answer(`/emulator/v1/traces/${encodeURIComponent(traceId)}`);
export const evaluations = async () => (await answer("/emulator/v1/evaluations")).evaluations ?? [];

/** Newest first. */
export async function entries(filter, pageSize, resourceNames = [`projects/${project}`]) {
  const body = await post("/v2/entries:list", { resourceNames, filter, orderBy: "timestamp desc", pageSize });
  return body.entries ?? [];
}

/** Prometheus' matrix: [{metric: {label: value}, values: [[seconds, "number"], ...]}]. */
export async function queryRange(query, { start, end, step }) {
  const parameters = new URLSearchParams({ query, start, end, step });
  const body = await answer(`/v1/projects/${project}/location/global/prometheus/api/v1/query_range?${parameters}`);
  return body.data?.result ?? [];
}

/** Prometheus' vector: [{metric: {label: value}, value: [seconds, "number"]}]. */
export async function query(promql, time) {
  const parameters = new URLSearchParams({ query: promql, time });
  const body = await answer(`/v1/projects/${project}/location/global/prometheus/api/v1/query?${parameters}`);
  return body.data?.resultType === "vector" ? body.data.result : [];
}

/** `parameters` as ListTimeSeries takes them, e.g. `aggregation.alignmentPeriod`. */
export async function timeSeries(parameters) {
  const found = [];
  let token = "";
  let unit = "";
  do {
    const body = await answer(
      `/v3/projects/${project}/timeSeries?${parameters}${token && `&pageToken=${encodeURIComponent(token)}`}`,
    );
    found.push(...(body.timeSeries ?? []));
    unit = body.unit ?? unit;
    token = body.nextPageToken ?? "";
  } while (token);
  return { series: found, unit };
}
