<?php
// One file, four pages: the order book (/), placing an order (POST /), a health check (/healthz) and burning
// processor time (/work?ms=200) to make load. It serves, saying what it lacks, while the database or the cache is away.
require __DIR__ . '/shop.php';

$path = parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH);
header('X-Served-By: ' . server());
header('Cache-Control: no-store');

switch ($path) {
    case '/healthz':
        healthz();
        break;
    case '/work':
        work();
        break;
    case '/':
        if ($_SERVER['REQUEST_METHOD'] === 'POST') {
            place_order();
        } else {
            require __DIR__ . '/page.php';
        }
        break;
    default:
        http_response_code(404);
        header('Content-Type: text/plain');
        echo "no such page\n";
}

/** Healthy means that this server can do its work, so that the database is asked too. */
function healthz(): void
{
    header('Content-Type: text/plain');
    [$db, $why] = database();
    if ($db === null) {
        http_response_code(503);
        echo "database: $why\n";
        return;
    }
    echo 'ok ' . server() . "\n";
}

/** Burns processor time: as much as is asked for, two seconds at most, and no longer than ten by the clock. */
function work(): void
{
    $used = function (): float { // milliseconds of processor time so far
        $u = getrusage();
        return ($u['ru_utime.tv_sec'] + $u['ru_stime.tv_sec']) * 1e3 + ($u['ru_utime.tv_usec'] + $u['ru_stime.tv_usec']) / 1e3;
    };
    $ms = max(0, min(2000, (int) ($_GET['ms'] ?? 200)));
    $until = $used() + $ms;
    $late = time() + 10;
    for ($digest = '', $rounds = 0; $used() < $until && time() < $late; $rounds++) {
        for ($i = 0; $i < 1000; $i++) {
            $digest = hash('sha256', $digest . $i);
        }
    }
    header('Content-Type: text/plain');
    echo server() . " worked $ms ms, $rounds rounds\n";
}

function place_order(): void
{
    [$db, $why] = database();
    try {
        if ($db === null) {
            throw new RuntimeException($why);
        }
        take_order($db, words('customer', 'somebody'), words('item', 'a surprise'));
        header('Location: /', true, 303);
    } catch (Throwable $e) {
        http_response_code(503);
        header('Content-Type: text/plain');
        echo 'The order was not taken: database: ' . $e->getMessage() . "\n";
    }
}

/** A posted field, no longer than its column. */
function words(string $field, string $default): string
{
    preg_match('/^.{0,60}/us', trim((string) ($_POST[$field] ?? '')), $found);
    return ($found[0] ?? '') === '' ? $default : $found[0];
}
