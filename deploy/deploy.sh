#!/usr/bin/env bash
# Deploys the reference service to Cloud Run, in steps that can each be looked at:
#
#   deploy.sh check            what has to be there before: tools, settings, secrets, image
#   deploy.sh migrate          the database, by a job of the new image
#   deploy.sh release          a revision without traffic, and its probes asked under its own address
#   deploy.sh canary [PERCENT] a share of the traffic (10), watched for CANARY_SECONDS; rolled back by itself
#   deploy.sh promote          all of the traffic
#   deploy.sh rollback         all of the traffic back to the revision that served before: the tag `previous` names it
#   deploy.sh all              the first five, in this order
#
# Settings (environment): PROJECT REGION SERVICE IMAGE ENVIRONMENT CLOUDSQL_INSTANCE, and perhaps
#   REVISION        name of the new revision (SERVICE-COMMIT)
#   CANARY_SECONDS  how long the canary is watched (300), CANARY_STEP seconds between two looks (30)
#   MAX_ERROR_RATIO share of its answers that may be 5xx (0.01), once it has given MIN_REQUESTS (20)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
: "${PROJECT:?the project id}" "${REGION:?such as us-central1}" "${SERVICE:?name of the service}"
: "${IMAGE:?the image, by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:...}"
export PROJECT REGION SERVICE IMAGE
export ENVIRONMENT=${ENVIRONMENT:-production} CLOUDSQL_INSTANCE=${CLOUDSQL_INSTANCE:-}
commit=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null || date +%s)
export REVISION=${REVISION:-$SERVICE-$commit}
secrets=(auth-signing-key database-url redis-url hash-key health-token)

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }
run() { gcloud run "$@" --project "$PROJECT" --region "$REGION"; }

# The revision that has most of the traffic now, but for the one that is named; empty before the first deployment.
serving() {
  run services describe "$SERVICE" --format json 2>/dev/null | python3 -c '
import json, sys
text = sys.stdin.read()
traffic = json.loads(text).get("status", {}).get("traffic", []) if text.strip() else []
shares = sorted((one.get("percent", 0), one.get("revisionName", "")) for one in traffic if one.get("revisionName") != sys.argv[1])
print(shares[-1][1] if shares and shares[-1][0] else "")' "${1:-}"
}

# What the traffic target with this tag says: its revisionName or its url; empty where nothing has the tag.
tagged() {
  run services describe "$SERVICE" --format json 2>/dev/null | python3 -c '
import json, sys
text = sys.stdin.read()
traffic = json.loads(text).get("status", {}).get("traffic", []) if text.strip() else []
print(next((one[sys.argv[2]] for one in traffic if one.get("tag") == sys.argv[1]), ""))' "$1" "$2"
}

check() {
  for tool in gcloud curl python3; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done
  [[ $IMAGE == *@sha256:* ]] || fail "IMAGE has to name a digest: a tag may be another image tomorrow"
  gcloud artifacts docker images describe "$IMAGE" --project "$PROJECT" >/dev/null || fail "there is no such image"
  for secret in "${secrets[@]}"; do
    gcloud secrets versions describe latest --secret "$SERVICE-$secret" --project "$PROJECT" >/dev/null \
      || fail "the secret $SERVICE-$secret has no version: gcloud secrets create $SERVICE-$secret --data-file=-"
  done
  say "checks passed"
}

migrate() {
  run jobs deploy "$SERVICE-migrate" --image "$IMAGE" \
    --command python --args=-m,app.api.database.migrate \
    --service-account "$SERVICE@$PROJECT.iam.gserviceaccount.com" \
    --set-env-vars "ENVIRONMENT=$ENVIRONMENT" --set-cloudsql-instances "$CLOUDSQL_INSTANCE" \
    --set-secrets "DATABASE_URL=$SERVICE-database-url:latest,AUTH_SIGNING_KEY=$SERVICE-auth-signing-key:latest" \
    --max-retries 0 --execute-now --wait || fail "the migration failed; nothing was deployed"
  say "the database is migrated"
}

release() {
  SERVING=$(serving) || SERVING=
  PREVIOUS=$(tagged previous revisionName) || PREVIOUS=
  export SERVING PREVIOUS
  local manifest
  manifest=$(mktemp)
  trap 'rm -f "$manifest"' RETURN
  python3 "$here/render.py" "$here/service.yaml" >"$manifest"
  run services replace "$manifest" || fail "Cloud Run did not take the revision"
  local address
  address=$(tagged candidate url) || address=
  [[ -n $address ]] || fail "the revision has no address of its own"
  for path in /health/startup /health/ready; do
    curl --fail --silent --show-error --max-time 10 --retry "${PROBE_RETRIES:-5}" --retry-all-errors --retry-delay 2 "$address$path" >/dev/null \
      || fail "$address$path does not pass; $REVISION has no traffic"
  done
  say "$REVISION is up at $address, without traffic; ${SERVING:-nobody} serves"
}

# Answers of the new revision within the watched time, and those of them that are 5xx: Cloud Run's own count.
answers() {
  local query token
  query="sum(increase(run_googleapis_com:request_count{service_name=\"$SERVICE\",revision_name=\"$REVISION\"$1}[${2}s]))"
  token=$(gcloud auth print-access-token)
  curl --fail --silent --show-error --max-time 30 --header "Authorization: Bearer $token" \
    --data-urlencode "query=$query" \
    "${MONITORING_URL:-https://monitoring.googleapis.com}/v1/projects/$PROJECT/location/global/prometheus/api/v1/query" \
    | python3 -c 'import json, sys; found = json.load(sys.stdin)["data"]["result"]; print(found[0]["value"][1] if found else 0)'
}

canary() {
  local percent=${1:-10} before seconds=${CANARY_SECONDS:-300} step=${CANARY_STEP:-30} waited=0 all bad verdict
  before=$(serving "$REVISION")
  [[ -n $before ]] || { say "nobody serves yet: nothing to compare with"; return; }
  run services update-traffic "$SERVICE" --to-revisions "$REVISION=$percent,$before=$((100 - percent))"
  say "$REVISION has $percent % of the traffic"
  while ((waited < seconds)); do
    sleep "$step"
    waited=$((waited + step))
    if ! all=$(answers "" "$((waited + 60))") || ! bad=$(answers ',response_code_class="5xx"' "$((waited + 60))"); then
      back "$before"
      fail "its answers cannot be counted: rolled back to $before"
    fi
    verdict=$(python3 -c '
import sys
every, bad, ratio, least = map(float, sys.argv[1:])
print("bad" if every >= least and bad / every > ratio else "good" if every >= least else "waiting")
' "$all" "$bad" "${MAX_ERROR_RATIO:-0.01}" "${MIN_REQUESTS:-20}")
    say "after $waited s: $all answers, $bad of them 5xx: $verdict"
    [[ $verdict != bad ]] || { back "$before"; fail "too many errors: rolled back to $before"; }
  done
  [[ $verdict == good ]] || { back "$before"; fail "too few requests to tell: rolled back to $before"; }
  say "the canary is healthy"
}

back() { run services update-traffic "$SERVICE" --to-revisions "$1=100" || fail "the traffic is still where it was"; }

promote() {
  local before tags=()
  before=$(serving "$REVISION") || before=
  [[ -z $before ]] || tags=(--update-tags "previous=$before")
  run services update-traffic "$SERVICE" --to-revisions "$REVISION=100" ${tags[@]+"${tags[@]}"} || fail "the traffic was not moved"
  say "$REVISION serves"
}

# Not simply to the revision made before: that may be a canary that failed.
rollback() {
  local now before candidate
  now=$(serving) || fail "Cloud Run does not say which revision serves"
  candidate=$(tagged candidate revisionName)
  before=$(serving "$candidate")
  if [[ -n $candidate && -n $before && $(serving "$before") == "$candidate" ]]; then
    now=$candidate # a canary has a share: it goes back to whom it was taken from
  else
    before=$(tagged previous revisionName)
  fi
  if [[ -z $before ]]; then
    say "no revision has the tag previous: the one made before $now is taken"
    before=$(run revisions list --service "$SERVICE" --sort-by "~metadata.creationTimestamp" \
      --format "value(metadata.name)" | awk -v now="$now" 'found { print; exit } $0 == now { found = 1 }')
  fi
  [[ -n $before ]] || fail "there is no revision before $now"
  [[ $before != "$now" ]] || fail "$now serves already, by a rollback before: name another by hand, as the runbook says"
  back "$before"
  say "$before serves again, instead of $now"
}

case ${1:-} in
  check | migrate | release | promote | rollback) "$1" ;;
  canary) canary "${2:-${CANARY_PERCENT:-10}}" ;;
  all) # each in a process of its own, so that the first that fails ends it
    export CANARY_PERCENT=${2:-10}
    for step in check migrate release canary promote; do "$0" "$step"; done
    ;;
  *) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
