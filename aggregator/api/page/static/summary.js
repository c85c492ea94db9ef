// The health card: score, chances, the figures behind it, and in words what moves the score.

import { card, figures, h, table } from './dom.js'
import { SCORE } from './facts.js'
import * as format from './format.js'
import { humane, owing, place } from './words.js'

const MARKS = SCORE.filter(([, score]) => score > 0 && score < 100)

/** The score of a probability, on the published scale. */
function scoreOf(probability) {
  const [farthest, best] = SCORE.at(-1)
  const place = probability <= 0 ? farthest : -Math.log10(probability)
  if (place >= farthest) return best
  const next = SCORE.findIndex(([x]) => place <= x)
  if (next <= 0) return SCORE[0][1]
  const [[x0, y0], [x1, y1]] = [SCORE[next - 1], SCORE[next]]
  return y0 + ((y1 - y0) * (place - x0)) / (x1 - x0)
}

function level(score) {
  if (score === null) return 'none'
  return score >= 80 ? 'good' : score >= 60 ? 'fair' : score >= 40 ? 'warn' : 'bad'
}

export function summary(document) {
  const { health } = document
  const score = format.number(health.score)
  return card(
    'summary',
    'Unified health',
    {},
    h(
      'div',
      { class: 'hero' },
      h(
        'div',
        { class: `score ${level(score)}` },
        h(
          'p',
          { class: 'figure' },
          h('strong', {}, score === null ? 'not known' : format.score(health.score)),
          score === null ? '' : h('span', {}, ' of 100'),
        ),
        scale(score),
      ),
      figures([
        ['Equity', format.usd(health.equity_usd), unknown(health.equity_usd, 'a debt is not known')],
        ['Owned', format.usd(health.collateral_usd)],
        ['Owed', format.usd(health.debt_usd), unknown(health.debt_usd, 'not all of it could be read')],
        ['After haircuts', format.usd(health.collateral_after_haircuts_usd)],
        ['Requirement', format.usd(health.requirement_usd), unknown(health.requirement_usd, 'a debt is not known')],
        ['Margin ratio', format.ratio(health.margin_ratio), ratioWords(health)],
      ]),
    ),
    h(
      'div',
      { class: 'words' },
      scoreWords(document).map((text) => h('p', {}, text)),
    ),
    h('div', { class: 'drawers' }, chances(document)),
  )
}

/** The chance of a liquidation by account and horizon. */
function chances(document) {
  const [whole, accounts] = [document.health.liquidation_probability, document.explain?.probability ?? []]
  if (!whole || !accounts.length) return null
  const rows = [...accounts.map((one) => [humane(one.where), one.own]), ...(accounts.length > 1 ? [['at least one of them', whole]] : [])]
  const column = (title, horizon) => ({ title, number: true, cell: ([, own]) => format.chance(own[horizon]) })
  return h(
    'details',
    { id: 'chances' },
    h('summary', {}, 'Chance by account'),
    table(
      'Chance of a liquidation',
      [{ title: 'Account', cell: ([name]) => name }, column('Within an hour', '1h'), column('A day', '1d'), column('A week', '7d')],
      rows,
    ),
  )
}

const unknown = (value, why) => (format.number(value) === null ? why : null)

function ratioWords(health) {
  const ratio = format.number(health.margin_ratio)
  if (ratio !== null) return ratio < 1 ? 'under-margined' : null
  const required = format.number(health.requirement_usd)
  return required === null ? 'a debt is not known' : required === 0 ? 'nothing is required' : 'an asset has no price'
}

/** The published scale with this score on it: its marks are chances of a liquidation within a day. */
function scale(score) {
  return h(
    'div',
    { class: 'scale', 'aria-hidden': 'true' },
    h('span', { class: 'rail' }, score === null ? null : h('i', { class: 'needle', style: { left: `${score}%` } })),
    MARKS.map(([power, at]) => h('span', { class: 'tick', style: { left: `${at}%` } }, format.chance(10 ** -power).replace('\u00a0', ''))),
  )
}

/** What the score means for this owner, what drives it, and what would raise it. */
function scoreWords(document) {
  const chances = document.health.liquidation_probability
  if (!chances) return ['Too little could be read to say how likely a liquidation is. What is missing is named above.']
  if (!owing(document) && !document.venue_accounts?.length)
    return ['Nothing is owed that could be liquidated, so nothing but the holdings themselves can lose value.']
  if (format.number(chances['1d']) >= 1)
    return ['At least one account is below its line today, so the score is at the bottom of its scale.', ...driverWords(document)]
  const said = [
    `If nobody acts, the chance that at least one account is liquidated is ${format.chance(chances['1d'])} within a day and ${format.chance(chances['7d'])} within a week. The score is the first of these on a fixed scale, whose marks are chances.`,
  ]
  return [...said, ...driverWords(document)]
}

/** Every account that is below its line, and whether anybody can act on it. */
function belowWords(document) {
  return document.margin_accounts
    .filter((one) => one.liquidation.liquidatable)
    .slice(0, 3)
    .map((one) =>
      one.liquidation.blocked
        ? `${place(one)}: ${one.liquidation.blocked}.`
        : `${place(one)} can be liquidated now; repaying or adding collateral there is what helps.`,
    )
}

function driverWords(document) {
  const shares = document.explain?.probability ?? []
  const day = (one) => format.number(one.own['1d']) ?? 0
  const driver = shares.find((one) => one.where === document.explain?.driver) ?? [...shares].sort((a, b) => day(b) - day(a))[0]
  if (!driver || day(driver) <= 0) return []
  const name = humane(driver.where)
  const whole = shares.reduce((sum, one) => sum + (format.number(one.share['1d']) ?? 0), 0)
  const part = whole > 0 ? (format.number(driver.share['1d']) ?? 0) / whole : 1
  const others = shares.filter((one) => one !== driver)
  if (day(driver) >= 1) return belowWords(document)
  if (!others.length) return [`All of it is ${name}: repaying or adding collateral there is what helps.`]
  // the chance of any of the others is at most the sum of theirs
  const rest = Math.min(
    1,
    others.reduce((sum, one) => sum + day(one), 0),
  )
  const better =
    rest < day(driver)
      ? ` With that account safe, at most ${format.chance(rest)} would be left within a day: a score of at least ${format.score(scoreOf(rest))}.`
      : ''
  return [`${name} carries ${format.percent(part, 0)} of it.${better}`]
}
