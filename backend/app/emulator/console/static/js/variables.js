// Dashboard filters: `${name}` in a query stands for `label="value"`, `${name.value}` for the value alone.

/** Filters of a dashboard that queries can name: [{name, label, value}]. */
export function variablesOf(dashboard) {
  return (dashboard.dashboardFilters ?? [])
    .filter((filter) => filter.templateVariable)
    .map((filter) => ({
      name: filter.templateVariable,
      label: filter.labelKey ?? "",
      value: filter.stringValue ?? "",
    }));
}

const PLACE = /\$\{?(__interval|__rate_interval)\}?|\$\{([^}]+)\}/g;
const quoted = (value) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** A PromQL query with its variables and its interval (seconds) filled in; an unset variable matches everything. */
export function fillQuery(query, variables, interval) {
  return query.replace(PLACE, (whole, builtIn, name) => {
    if (builtIn) return `${interval}s`;
    const [, base, part] = /^(.*?)(\.value)?$/.exec(name);
    const variable = variables.find((candidate) => candidate.name === base);
    if (!variable) return whole;
    if (part) return variable.value || ".*";
    return variable.value ? `${variable.label}=${quoted(variable.value)}` : `${variable.label}=~".*"`;
  });
}

/** A Monitoring filter with its variables filled in; an unset variable restricts nothing. */
export function fillFilter(filter, variables) {
  return filter.replace(/\s*\$\{([^}]+)\}/g, (whole, name) => {
    const [, base, part] = /^(.*?)(\.value)?$/.exec(name);
    const variable = variables.find((candidate) => candidate.name === base);
    if (!variable) return whole;
    if (part) return variable.value;
    return variable.value ? ` resource.labels.${variable.label}=${quoted(variable.value)}` : "";
  });
}
