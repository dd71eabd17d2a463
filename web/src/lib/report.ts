// One Markdown block about a run, to paste into a chat or an issue. It holds nothing that the page does not show.
import { bytes, duration, exact, full } from './format';
import { runLook } from './status';
import type { LogLine, RunDetail } from './types';

export function report(run: RunDetail, lines: LogLine[], address: string, version: string): string {
  const e = run.error;
  return [
    `### ${run.pipeline}: run ${run.id} ${runLook(run).word}`,
    '',
    `- ${address}`,
    `- ${run.trigger.kind}${run.trigger.by ? ` by ${run.trigger.by}` : ''}, queued ${full(run.queuedAt)}, took ${duration(run.durationMs)}, try ${run.tries} of ${run.maxAttempts}, worker ${run.worker ?? '–'}`,
    `- rows read ${exact(run.rowsRead)}, written ${exact(run.rowsWritten)}, rejected ${exact(run.rowsRejected)}, filtered ${exact(run.rowsFiltered)}; ${bytes(run.bytesRead)} read`,
    `- definition version ${run.definitionVersion}${version ? `, Headrace ${version}` : ''}`,
    ...(e ? ['', `**${e.code}** (${e.kind}${e.step ? `, step ${e.step}` : ''}): ${e.message}`, '', ...e.context.map((c, i) => `${i + 1}. ${c}`), ...(e.hint ? ['', `Hint: ${e.hint}`] : [])] : []),
    ...(lines.length ? ['', '```', ...lines.map((l) => `${l.seq} ${l.at} ${l.level} ${l.step ?? '-'} ${l.message}`), '```'] : []),
    '',
  ].join('\n');
}
