const two = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Local wall time of milliseconds since the epoch; the date only when it is not today's. */
export function clockTime(milliseconds, { millis = false, now = undefined } = {}) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return "";
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const shown = millis ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
  const sameDay = now === undefined || new Date(now).toDateString() === date.toDateString();
  return sameDay ? shown : `${MONTHS[date.getMonth()]} ${date.getDate()} ${shown}`;
}

/** Labels of a time axis whose marks lie `increment` seconds apart. */
export function axisTimes(seconds, increment) {
  return seconds.map((second) => {
    const date = new Date(second * 1000);
    if (increment >= 86_400) return `${MONTHS[date.getMonth()]} ${date.getDate()}`;
    const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return increment >= 60 ? time : `${time}:${two(date.getSeconds())}`;
  });
}

/** 75 -> "1m 15s", 7300 -> "2h 1m". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** Seconds of a protobuf duration in JSON: "60s", "1.5s". */
export const seconds = (text) => Number.parseFloat(text ?? "") || 0;
