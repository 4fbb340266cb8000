// The name of a series: its legendTemplate, or the labels that tell it from its neighbours.

const PLACE = /\$\{([^}]+)\}|\{\{\s*([^}]+?)\s*\}\}/g;

/** `${labels.x}`, `${metric.labels.x}`, `${resource.labels.x}` and `{{x}}` alike; dots in a name are escaped as `\.`. */
function labelNamed(path, labels) {
  const plain = path.replaceAll("\\.", ".");
  const last = plain.replace(/^(?:(?:metric|resource|metadata)\.)?(?:system_labels|user_labels|labels)\./, "");
  if (last in labels) return labels[last];
  if (plain in labels) return labels[plain];
  return undefined;
}

export function legendName(template, labels, metricType = labels.__name__ ?? "") {
  return template.replace(PLACE, (whole, dollar, braces) => {
    const path = dollar ?? braces;
    if (path === "shortMetric") return metricType.split("/").at(-1);
    if (path === "metric.type") return metricType;
    if (path === "resource.type") return labels.resource_type ?? "";
    return labelNamed(path, labels) ?? "–";
  });
}

/** Names for series ([{labels}]) of one query: values of the labels in which they differ. */
export function namesOf(series, template, fallback) {
  if (template) return series.map(({ labels, type }) => legendName(template, labels, type));
  const names = [...new Set(series.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const telling = names.filter((name) => new Set(series.map(({ labels }) => labels[name])).size > 1);
  const shown = series.length > 1 ? telling : names.filter((name) => name !== "__name__" && name !== "resource_type");
  return series.map(
    ({ labels }) =>
      shown
        .map((name) => labels[name])
        .filter(Boolean)
        .join(" · ") ||
      labels.__name__ ||
      fallback,
  );
}
